"""Golden tensors for native/tests/vae_test.cpp: what diffusers' AutoencoderKL gives for a small
configuration, sides that are no multiple of its factor included. Weights and inputs come from names, as
in unet.py.

    bench/.venv/bin/python test/peers/vae.py
"""

import torch
from diffusers import AutoencoderKL

from naming import sd_vae_name
from unet import channels_last, fill, normal, save


def vae() -> None:
    model = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 16, 24),
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=4,
    )
    named = fill(model, lambda name: sd_vae_name(name, 3))
    tensors = {}
    for height, width in ((16, 24), (19, 13)):
        rgb = normal(f"rgb {height}x{width}", (2, height, width, 3)).permute(0, 3, 1, 2).requires_grad_()
        rgb.retain_grad()
        moments = model.encode(rgb).latent_dist.parameters  # unclamped, as they come
        moments.square().mean().backward()
        tensors[f"moments {height}x{width}"] = channels_last(moments)
        tensors[f"drgb {height}x{width}"] = channels_last(rgb.grad)
    for height, width in ((4, 6), (5, 3)):
        z = normal(f"z {height}x{width}", (2, height, width, 4)).permute(0, 3, 1, 2)
        tensors[f"picture {height}x{width}"] = channels_last(model.decode(z).sample)
    gradients = ("encoder.down.0.downsample.conv.weight", "encoder.mid.attn_1.q.weight")
    tensors |= {name: named["first_stage_model." + name].grad for name in gradients}
    save("vae.safetensors", tensors)


if __name__ == "__main__":
    torch.manual_seed(0)
    vae()
