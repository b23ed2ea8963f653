"""For bf16.py: every kind of block that the small U-Nets of unet.py and lora.py are made of, alone: its output, and the
gradients of its inputs and weights, when `dy` comes back. Pictures are channels last, and weights have the names that
they have in the U-Net."""

from collections.abc import Callable, Iterator

import torch
from torch.nn.functional import silu

from lora import unet_lora_model
from unet import channels_last, fill, normal, unet_model, unet_name

Tensors = dict[str, torch.Tensor]
X, HALF, E, CONTEXT = (2, 6, 8), (2, 3, 4), (2, 32), (2, 7, 12)


def on_picture(module: torch.nn.Module) -> Callable:
    return lambda x: channels_last(module(x.permute(0, 3, 1, 2)))


def residual(module: torch.nn.Module) -> Callable:
    def run(x, e, skip=None):
        both = x if skip is None else torch.cat([x, skip], -1)
        return channels_last(module(both.permute(0, 3, 1, 2), e))

    return run


def transformer(module: torch.nn.Module) -> Callable:
    return lambda x, context: channels_last(module(x.permute(0, 3, 1, 2), context).sample)


def blocks(model: torch.nn.Module) -> dict[str, tuple[Callable, dict[str, tuple[int, ...]]]]:
    """Each with its inputs' shapes."""
    down, up = model.down_blocks, model.up_blocks
    out = torch.nn.Sequential(model.conv_norm_out, model.conv_act, model.conv_out)
    return {
        "time": (lambda: silu(model.time_embedding(model.time_proj(torch.tensor([17, 803])))), {}),
        "conv_in": (on_picture(model.conv_in), {"x": (*X, 5)}),
        "conv_out": (on_picture(out), {"x": (*X, 8)}),
        "res": (residual(down[0].resnets[0]), {"x": (*X, 8), "e": E}),
        "res_wider": (residual(down[1].resnets[0]), {"x": (*HALF, 8), "e": E}),
        "res_skip": (residual(up[1].resnets[0]), {"x": (*X, 16), "skip": (*X, 8), "e": E}),
        "transformer": (transformer(down[0].attentions[0]), {"x": (*X, 8), "context": CONTEXT}),
        "half": (on_picture(down[0].downsamplers[0]), {"x": (*X, 8)}),
        "twice": (on_picture(up[0].upsamplers[0]), {"x": (*HALF, 16)}),
    }


def golden(run: Callable, shapes: dict[str, tuple[int, ...]], named: dict[str, torch.nn.Parameter]) -> Tensors:
    inputs = {name: normal(name, shape).requires_grad_() for name, shape in shapes.items()}
    for parameter in named.values():
        parameter.grad = None
    y = run(**inputs)
    y.backward(normal("dy", tuple(y.shape)))
    gradients = {name: p.grad for name, p in named.items() if p.grad is not None}
    return {"y": y} | {f"d{name}": x.grad for name, x in inputs.items()} | gradients


def goldens() -> Iterator[tuple[str, Tensors]]:
    model = unet_model()
    named = fill(model, unet_name)
    for name, (run, shapes) in blocks(model).items():
        yield name, golden(run, shapes, named)
    model, named = unet_lora_model()
    for name, (run, shapes) in blocks(model).items():
        if name in ("res_skip", "transformer", "half", "twice"):
            yield f"{name}_lora", golden(run, shapes, named)
