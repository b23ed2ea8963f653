"""Goldens of BF16 for native/tests/bf16_test.cpp. Of the text encoders of unet.py and lora.py: in PyTorch with every
factor of a product of matrices rounded to BF16, forward and backward, and all else in F32. A U-Net is too deep to be
compared so: a difference of 1e-7 before a rounding becomes one of 5e-3 in y, in PyTorch as well. Of U-Nets bf16.json
has how far autocast is from F32, whose products are in BF16 too.

    bench/.venv/bin/python test/peers/bf16.py
"""

import json
from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F

from lora import clip_text_lora, unet_lora
from unet import GOLDEN, clip_text, save, unet

def rounded(x: torch.Tensor) -> torch.Tensor:
    return x.bfloat16().float()


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return rounded(a) @ rounded(b)

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return rounded(g) @ rounded(b).mT, rounded(a).mT @ rounded(g)


def linear(x, w, b=None):
    y = Product.apply(x.reshape(-1, x.shape[-1]), w.mT).reshape(*x.shape[:-1], w.shape[0])
    return y if b is None else y + b


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, **_):
    scores = Product.apply(q, k.mT) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return Product.apply(scores.softmax(-1), v)


@contextmanager
def rounded_factors():
    with patch.object(F, "linear", linear), patch.object(F, "scaled_dot_product_attention", attention):
        yield


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
    autocast = {}
    for run in (unet, unet_lora):
        torch.manual_seed(0)
        wanted = run()
        with torch.autocast("cpu", torch.bfloat16):
            autocast[run.__name__] = errors(run(), wanted)
    (GOLDEN / "bf16.json").write_text(json.dumps(autocast, indent=1) + "\n")
