"""diffusers' names of a U-Net's tensors → those of Stable Diffusion 1.x's checkpoints."""

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
TOP = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def resnet(rest: list[str]) -> list[str]:
    return [RESNET[rest[0]], *rest[1:]]


def sd_name(name: str, res_blocks: int, attention_levels_up: list[bool]) -> str:
    """`attention_levels_up`: whether up block i has attention."""
    for ours, theirs in TOP.items():
        if name.startswith(ours + "."):
            return "model.diffusion_model." + theirs + name[len(ours) :]
    part, *rest = name.split(".")
    if part == "mid_block":
        kind, i, *rest = rest
        if kind == "attentions":
            words = ["middle_block", "1", *rest]
        else:
            words = ["middle_block", "0" if i == "0" else "2", *resnet(rest)]
    else:
        level, kind, i, *rest = rest
        down = part == "down_blocks"
        first = int(level) * (res_blocks + 1) + (1 if down else 0)
        words = ["input_blocks" if down else "output_blocks"]
        if kind == "resnets":
            words += [str(first + int(i)), "0", *resnet(rest)]
        elif kind == "attentions":
            words += [str(first + int(i)), "1", *rest]
        elif kind == "downsamplers":
            words += [str(first + res_blocks), "0", "op", *rest[1:]]
        elif kind == "upsamplers":
            index = "2" if attention_levels_up[int(level)] else "1"
            words += [str(first + res_blocks), index, "conv", *rest[1:]]
        else:
            raise ValueError(name)
    return "model.diffusion_model." + ".".join(words)


VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}
VAE_LEVEL = {"resnets": "block", "downsamplers": "downsample", "upsamplers": "upsample"}


def sd_vae_name(name: str, levels: int) -> str:
    """diffusers' name of an autoencoder's tensor → that of Stable Diffusion 1.x's checkpoints."""
    words = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut").split(".")
    if words[1] == "mid_block":
        kind, i, *rest = words[2:]
        if kind == "attentions":
            rest = [VAE_ATTENTION[rest[0]], rest[-1]]
        words = [words[0], "mid", "attn_1" if kind == "attentions" else f"block_{int(i) + 1}", *rest]
    elif words[1] in ("down_blocks", "up_blocks"):
        down, level, kind, i, *rest = words[1] == "down_blocks", *words[2:]
        at = level if down else str(levels - 1 - int(level))
        words = [words[0], "down" if down else "up", at, VAE_LEVEL[kind], *([i] if kind == "resnets" else []), *rest]
    return "first_stage_model." + ".".join(words)
