"""A LoRA of random numbers in kohya's keys, for every matrix that kohya's sd-scripts adapt: what load_sd.py
takes where no file is given."""

from pathlib import Path

import torch
from safetensors.torch import save_file

UNET = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
RANK, ALPHA = 4, 2.0


def write_random_lora(path: Path, unet: torch.nn.Module, text: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(4)
    tensors = {}
    for model, prefix, ends in ((unet, "lora_unet_", UNET), (text, "lora_te_", TEXT)):
        for name, module in model.named_modules():
            weight = getattr(module, "weight", None)
            if weight is None or weight.dim() < 2 or not name.endswith(ends):
                continue
            # transformers from 5.6 on has no "text_model." in its names; the files have.
            bare = prefix == "lora_te_" and not name.startswith("text_model.")
            key = prefix + ("text_model." + name if bare else name).replace(".", "_")
            rows, columns, ones = weight.shape[0], weight.shape[1], [1] * (weight.dim() - 2)
            down, up = torch.randn(RANK, columns, *ones, generator=generator), torch.randn(rows, RANK, *ones, generator=generator)
            tensors[key + ".lora_down.weight"] = (down / columns**0.5).half()
            tensors[key + ".lora_up.weight"] = (up * 0.3).half()
            tensors[key + ".alpha"] = torch.tensor(ALPHA).half()
    save_file(tensors, path, metadata={"ss_network_module": "networks.lora"})
