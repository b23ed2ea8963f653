"""How far PyTorch's own BF16 (autocast, F32 weights) is from its F32, tensor by tensor of the goldens that
unet.py and lora.py write: golden_test.cpp measures ours beside it.

    bench/.venv/bin/python test/peers/bf16.py
"""

import json

import torch

from lora import clip_text_lora, unet_lora
from unet import GOLDEN, clip_text, unet


def error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """As relative_error of native/tests/check.h, with the floor of golden.h."""
    got, wanted = got.detach().double(), wanted.detach().double()
    size = wanted.square().sum().clamp(min=1e-6 * wanted.numel())
    return float(((got - wanted).square().sum() / size).sqrt())


def errors(run) -> dict[str, float]:
    torch.manual_seed(0)
    wanted = run()
    with torch.autocast("cpu", torch.bfloat16):
        got = run()
    return {name: float(f"{error(got[name], wanted[name]):.3g}") for name in sorted(wanted)}


if __name__ == "__main__":
    found = {run.__name__: errors(run) for run in (unet, clip_text, unet_lora, clip_text_lora)}
    (GOLDEN / "bf16.json").write_text(json.dumps(found, indent=1) + "\n")
