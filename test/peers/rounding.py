"""PyTorch as native/compute/graph_nodes.h computes in BF16: every factor of a product of matrices or of a convolution
rounded, forward and backward, and all else in F32."""

from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_input, conv2d_weight


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
        ctx.options = stride, padding
        return torch.conv2d(rounded(x), rounded(w), None, stride, padding)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        dx = conv2d_input(x.shape, rounded(w), rounded(g), *ctx.options)
        dw = conv2d_weight(rounded(x), w.shape, rounded(g), *ctx.options)
        return dx, dw, None, None


def linear(x, w, b=None):
    y = Product.apply(x.reshape(-1, x.shape[-1]), w.mT).reshape(*x.shape[:-1], w.shape[0])
    return y if b is None else y + b


def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    assert dilation in (1, (1, 1)) and groups == 1
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
    with (
        patch.object(F, "linear", linear),
        patch.object(F, "conv2d", conv2d),
        patch.object(F, "scaled_dot_product_attention", attention),
    ):
        yield
