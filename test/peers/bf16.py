"""Goldens of BF16 for native/tests/bf16_test.cpp: of the text encoders of unet.py and lora.py, and of the blocks of
their U-Nets (blocks.py), with factors rounded as rounding.py does. A whole U-Net is too deep to be compared so: a
difference of 1e-7 before a rounding becomes one of 5e-3 in y, in PyTorch as well. Of whole U-Nets bf16.json has how far
autocast is from F32, whose products are in BF16 too.

    bench/.venv/bin/python test/peers/bf16.py
"""

import json

import torch

from blocks import goldens
from lora import clip_text_lora, unet_lora
from rounding import rounded_factors
from unet import GOLDEN, clip_text, save, unet


def squares(tensors) -> float:
    return float(sum(t.detach().double().square().sum() for t in tensors))


def errors(got: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> dict[str, float]:
    """Of y, of all gradients of weights together, and of the worst of them."""
    weights = [name for name in wanted if "." in name]
    error = lambda names: (squares(got[n] - wanted[n] for n in names) / squares(wanted[n] for n in names)) ** 0.5
    found = {"y": error(["y"]), "gradients": error(weights), "worst": max(error([name]) for name in weights)}
    return {name: float(f"{value:.3g}") for name, value in found.items()}


if __name__ == "__main__":
    for run in (clip_text, clip_text_lora):
        with rounded_factors():
            save(f"{run.__name__}_bf16.safetensors", run())
    (GOLDEN / "blocks_bf16").mkdir(exist_ok=True)
    with rounded_factors():
        for name, tensors in goldens():
            save(f"blocks_bf16/{name}.safetensors", tensors)
    autocast = {}
    for run in (unet, unet_lora):
        torch.manual_seed(0)
        wanted = run()
        with torch.autocast("cpu", torch.bfloat16):
            autocast[run.__name__] = errors(run(), wanted)
    (GOLDEN / "bf16.json").write_text(json.dumps(autocast, indent=1) + "\n")
