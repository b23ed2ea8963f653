"""Goldens of BF16 for native/tests/bf16_test.cpp: the models of unet.py and lora.py in PyTorch, with every factor of a
product of matrices rounded to BF16, forward and backward, and all else in F32. Also, in bf16.json, how far autocast is
from F32 (its products are BF16 too), by the norm of y and of all gradients together.

    bench/.venv/bin/python test/peers/bf16.py
"""

import json
from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F

from lora import clip_text_lora, unet_lora
from unet import GOLDEN, clip_text, save, unet

convolve = F.conv2d


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


class Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, stride, padding):
        ctx.save_for_backward(x, w)
        ctx.settings = stride, padding
        return convolve(rounded(x), rounded(w), None, stride, padding)

    @staticmethod
    def backward(ctx, g):
        x, w = (rounded(t) for t in ctx.saved_tensors)
        gx = torch.nn.grad.conv2d_input(x.shape, w, rounded(g), *ctx.settings)
        return gx, torch.nn.grad.conv2d_weight(x, w.shape, rounded(g), *ctx.settings), None, None


def linear(x, w, b=None):
    y = Product.apply(x.reshape(-1, x.shape[-1]), w.mT).reshape(*x.shape[:-1], w.shape[0])
    return y if b is None else y + b


def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    y = Convolution.apply(x, w, stride, padding)
    return y if b is None else y + b[:, None, None]


def attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, **_):
    scores = Product.apply(q, k.mT) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return Product.apply(scores.softmax(-1), v)


@contextmanager
def rounded_factors():
    with patch.object(F, "linear", linear), patch.object(F, "conv2d", conv2d):
        with patch.object(F, "scaled_dot_product_attention", attention):
            yield


def error(got: list[torch.Tensor], wanted: list[torch.Tensor]) -> float:
    difference = sum((a.double() - b.double()).square().sum() for a, b in zip(got, wanted))
    return float(f"{(difference / sum(b.double().square().sum() for b in wanted)).sqrt():.3g}")


def errors(got: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> dict[str, float]:
    gradients = [name for name in wanted if "." in name]
    return {
        "y": error([got["y"]], [wanted["y"]]),
        "gradients": error([got[name] for name in gradients], [wanted[name] for name in gradients]),
    }


if __name__ == "__main__":
    autocast = {}
    for run in (unet, clip_text, unet_lora, clip_text_lora):
        torch.manual_seed(0)
        wanted = run()
        with rounded_factors():
            save(f"{run.__name__}_bf16.safetensors", run())
        with torch.autocast("cpu", torch.bfloat16):
            autocast[run.__name__] = errors(run(), wanted)
    (GOLDEN / "bf16.json").write_text(json.dumps(autocast, indent=1) + "\n")
