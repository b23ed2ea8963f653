"""Seconds of one training step of the demo's U-Net in PyTorch + diffusers: the peer of
native/bench/unet_step.cpp. PyTorch is given the better of its two memory layouts, a fused AdamW and a
fused running average.

    python unet_step.py THREADS STEPS
"""

import copy
import json
import os
import sys
import time

THREADS, STEPS = (int(a) for a in sys.argv[1:3])
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import diffusers
import torch
from diffusers import UNet2DConditionModel

torch.set_num_threads(THREADS)
BATCH = 16


def model() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        in_channels=12,
        out_channels=12,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D",) * 3,
        block_out_channels=(32, 64, 128),
        layers_per_block=1,
        cross_attention_dim=64,
        attention_head_dim=4,  # the number of heads, despite its name
        norm_num_groups=32,
    )


def measure(layout: torch.memory_format) -> tuple[list[float], list[float]]:
    torch.manual_seed(1)
    unet = model().to(memory_format=layout).train()
    average = copy.deepcopy(unet)
    parameters, averages = list(unet.parameters()), list(average.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    x = torch.randn(BATCH, 12, 16, 16).contiguous(memory_format=layout)
    target = torch.randn(BATCH, 12, 16, 16).contiguous(memory_format=layout)
    t, context = torch.arange(BATCH) * 61, torch.randn(BATCH, 12, 64)
    walls, cpus = [], []
    for step in range(STEPS + 3):
        wall, cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        y = unet(x, t, context).sample
        (y - target).square().mean(dim=(1, 2, 3)).mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, parameters, 0.005)
        if step >= 3:  # after warming up
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    return walls, cpus


def main() -> None:
    layouts = {"default": torch.contiguous_format, "channels_last": torch.channels_last}
    results = {name: measure(layout) for name, layout in layouts.items()}
    best = min(results, key=lambda name: min(results[name][0]))
    walls, cpus = (sorted(times) for times in results[best])
    print(
        json.dumps(
            {
                "who": f"torch {torch.__version__} + diffusers {diffusers.__version__}",
                "threads": THREADS,
                "steps": STEPS,
                "layout": best,
                "seconds": round(walls[0], 5),
                "seconds_median": round(walls[len(walls) // 2], 5),
                "cpu_seconds": round(cpus[0], 5),
                "cpu_seconds_median": round(cpus[len(cpus) // 2], 5),
            }
        )
    )


main()
