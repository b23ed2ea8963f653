"""Golden tensors of low-rank adapters for native/tests/golden_test.cpp: outputs and the gradient of every
adapter's tensors, in a small U-Net (diffusers + peft) with adapters on attention, feed-forward and
convolutions, and in a small text encoder (transformers + peft). Everything else as in unet.py.

    bench/.venv/bin/python test/peers/lora.py
"""

import torch
from peft import LoraConfig, inject_adapter_in_model

from unet import TEXT, channels_last, clip_text_model, fill, normal, save, unet_model, unet_name, weight

LINEAR = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"]
BLOCK = ["conv1", "conv2", "conv_shortcut", "time_emb_proj", "downsamplers.0.conv", "upsamplers.0.conv"]
RANK, ALPHA, CONV_RANK, CONV_ALPHA = 3, 6, 2, 1


def adapters(model: torch.nn.Module, rename) -> dict[str, torch.nn.Parameter]:
    """Fills the adapters, and returns them by our names."""
    named = {}
    for name, parameter in model.named_parameters():
        if ".lora_" not in name:
            continue
        module, side = name.removesuffix(".default.weight").rsplit(".lora_", 1)
        key = rename(module + ".weight").removesuffix(".weight")
        key += ".lora_down.weight" if side == "A" else ".lora_up.weight"
        named[key] = parameter
    with torch.no_grad():
        for name, parameter in named.items():
            # Smaller than the frozen matrices: else scores grow until rounding is what is compared.
            parameter.copy_(weight(name, tuple(parameter.shape)) * (0.3 if ".lora_up." in name else 1))
    return named


def unet_lora_model() -> tuple[torch.nn.Module, dict[str, torch.nn.Parameter]]:
    """Filled, and its adapters by our names."""
    model = unet_model()
    fill(model, unet_name)
    model.requires_grad_(False)
    config = LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        target_modules=LINEAR + BLOCK,
        rank_pattern={f".*{name}": CONV_RANK for name in BLOCK},
        alpha_pattern={f".*{name}": CONV_ALPHA for name in BLOCK},
    )
    inject_adapter_in_model(config, model)
    return model, adapters(model, unet_name)


def unet_lora() -> dict[str, torch.Tensor]:
    model, named = unet_lora_model()
    x = normal("x", (2, 6, 8, 5)).permute(0, 3, 1, 2).requires_grad_()
    context = normal("context", (2, 7, 12)).requires_grad_()
    target = normal("target", (2, 6, 8, 3)).permute(0, 3, 1, 2)
    y = model(x, torch.tensor([17, 803]), context).sample.float()
    losses = (y - target).square().mean(dim=(1, 2, 3))
    (losses * torch.tensor([0.5, 2.0])).mean().backward()
    outer = {"y": channels_last(y), "dx": channels_last(x.grad), "dcontext": context.grad}
    return outer | {name: p.grad for name, p in named.items()}


def clip_text_lora() -> dict[str, torch.Tensor]:
    model = clip_text_model()
    rename = lambda name: TEXT + name.removeprefix("text_model.")
    fill(model, rename)
    model.requires_grad_(False)
    targets = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
    inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets), model)
    named = adapters(model, rename)
    ids = torch.tensor([[3, 1, 4, 1, 5, 9, 2], [29, 0, 27, 18, 28, 18, 2]])
    y = model(input_ids=ids).last_hidden_state.float()
    y.backward(normal("dy", (2, 7, 12)))
    return {"y": y} | {name: p.grad for name, p in named.items()}


if __name__ == "__main__":
    save("unet_lora.safetensors", unet_lora())
    save("clip_text_lora.safetensors", clip_text_lora())
