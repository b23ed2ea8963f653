"""Seconds and memory of one training step of Stable Diffusion 1.5's U-Net in PyTorch + diffusers + peft:
the peer of native/bench/sd15_step.cpp. Random weights, no autocast.

    python sd15_step.py lora|full PIXELS THREADS STEPS default|channels_last [checkpointing] [unclipped|fused]

With `fused` each parameter has an optimizer of its own that a hook calls within the backward pass, as PyTorch's
tutorial on the memory of an optimizer step does it; gradients are then not clipped.
"""

import json
import os
import resource
import sys
import time

MODE, PIXELS, THREADS, STEPS, LAYOUT = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
CHECKPOINTING = "checkpointing" in sys.argv[6:]
FUSED = "fused" in sys.argv[6:]
CLIPS = not FUSED and "unclipped" not in sys.argv[6:]
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import diffusers
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig

torch.set_num_threads(THREADS)


def model() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        block_out_channels=(320, 640, 1280, 1280),
        layers_per_block=2,
        cross_attention_dim=768,
        attention_head_dim=8,
    )


def adamw(parameters: list) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-5, weight_decay=0.01, fused=True)


def optimizers(parameters: list) -> list:
    """What steps after the backward pass: nothing, where hooks step within it."""
    if not FUSED:
        return [adamw(parameters)]
    for parameter in parameters:

        def step(parameter, optimizer=adamw([parameter])) -> None:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        parameter.register_post_accumulate_grad_hook(step)
    return []


def main() -> None:
    torch.manual_seed(1)
    layout = torch.channels_last if LAYOUT == "channels_last" else torch.contiguous_format
    unet = model().to(memory_format=layout).train()
    if MODE == "lora":
        unet.requires_grad_(False)
        targets = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"]
        unet.add_adapter(LoraConfig(r=16, lora_alpha=16, target_modules=targets))
    if CHECKPOINTING:
        unet.enable_gradient_checkpointing()
    parameters = [p for p in unet.parameters() if p.requires_grad]
    after = optimizers(parameters)
    side = PIXELS // 8
    x = torch.randn(1, 4, side, side).contiguous(memory_format=layout)
    target = torch.randn(1, 4, side, side).contiguous(memory_format=layout)
    t, context = torch.tensor([500]), torch.randn(1, 77, 768)
    walls, cpus = [], []
    for step in range(STEPS + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        for optimizer in after:
            optimizer.zero_grad(set_to_none=True)
        (unet(x, t, context).sample - target).square().mean().backward()
        if CLIPS:
            torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        for optimizer in after:
            optimizer.step()
        if step > 0:  # after warming up
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    print(
        json.dumps(
            {
                "who": f"torch {torch.__version__} + diffusers {diffusers.__version__}",
                "mode": MODE,
                "pixels": PIXELS,
                "threads": THREADS,
                "layout": LAYOUT,
                "checkpointing": CHECKPOINTING,
                "seconds": round(min(walls), 3),
                "cpu_seconds": round(min(cpus), 3),
                "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
                "trained": sum(p.numel() for p in parameters),
            }
        )
    )


main()
