"""Golden tensors for native/tests/golden_test.cpp: outputs, losses and every gradient of a small U-Net
(diffusers) and a small text encoder (transformers). Weights and inputs are not stored: both sides make
them from the tensors' names (philox.py, native/compute/rng.h).

    python3 -m venv bench/.venv && bench/.venv/bin/pip install -r bench/requirements.txt
    bench/.venv/bin/python test/peers/unet.py
"""

from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from safetensors.numpy import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from naming import sd_name
from philox import normals

GOLDEN = Path(__file__).parent.parent / "golden"
SEED = 7
TEXT = "cond_stage_model.transformer.text_model."


def normal(name: str, shape: tuple[int, ...], scale: float = 1) -> torch.Tensor:
    return torch.from_numpy(normals(int(np.prod(shape)), SEED, name).reshape(shape)) * scale


def weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Norms' scales lie around 1, matrices keep the size of what goes through them."""
    if len(shape) == 1:
        return normal(name, shape, 0.2) + (1 if name.endswith(".weight") else 0)
    return normal(name, shape, 1 if "embedding" in name else float(np.prod(shape[1:])) ** -0.5)


def fill(model: torch.nn.Module, rename) -> dict[str, torch.nn.Parameter]:
    named = {rename(name): parameter for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(weight(name, tuple(parameter.shape)))
    return named


def channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def save(name: str, tensors: dict[str, torch.Tensor]) -> None:
    save_file({key: np.ascontiguousarray(t.detach().numpy(), np.float32) for key, t in tensors.items()}, GOLDEN / name)


def unet_model() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        in_channels=5,
        out_channels=3,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=12,
        attention_head_dim=2,  # the number of heads, despite its name
        norm_num_groups=4,
    )


def unet_name(name: str) -> str:
    return sd_name(name, 1, [False, True])


def unet() -> dict[str, torch.Tensor]:
    model = unet_model()
    named = fill(model, unet_name)
    x = normal("x", (2, 6, 8, 5)).permute(0, 3, 1, 2).requires_grad_()
    context = normal("context", (2, 7, 12)).requires_grad_()
    target = normal("target", (2, 6, 8, 3)).permute(0, 3, 1, 2)
    x.retain_grad()
    y = model(x, torch.tensor([17, 803]), context).sample.float()
    losses = (y - target).square().mean(dim=(1, 2, 3))
    (losses * torch.tensor([0.5, 2.0])).mean().backward()
    outer = {"y": channels_last(y), "losses": losses, "dx": channels_last(x.grad), "dcontext": context.grad}
    return outer | {name: p.grad for name, p in named.items()}


def clip_text_model() -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=30,
        hidden_size=12,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=3,
        max_position_embeddings=9,
        hidden_act="quick_gelu",
    )
    return CLIPTextModel(config)


def clip_text() -> dict[str, torch.Tensor]:
    model = clip_text_model()
    named = fill(model, lambda name: TEXT + name.removeprefix("text_model."))
    ids = torch.tensor([[3, 1, 4, 1, 5, 9, 2], [29, 0, 27, 18, 28, 18, 2]])
    y = model(input_ids=ids).last_hidden_state.float()
    y.backward(normal("dy", (2, 7, 12)))
    return {"y": y} | {name: p.grad for name, p in named.items()}


if __name__ == "__main__":
    torch.manual_seed(0)
    save("unet.safetensors", unet())
    save("clip_text.safetensors", clip_text())
