"""Loads what native/tests/base_write_test.cpp has written in diffusers, both ways, and compares what each
part gives with what ours gave. Run by hand:

    node native/build.ts base_write_test    # prints the program's path
    PROGRAM /tmp/base && bench/.venv/bin/python test/peers/load_base.py /tmp/base/base-write
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
from safetensors.torch import load_file
from transformers import CLIPTokenizer

from unet import channels_last, normal

LIMIT = 1e-3


def compare(what: str, got: torch.Tensor, wanted: torch.Tensor) -> bool:
    error = ((got - wanted.reshape(got.shape)).norm() / wanted.norm()).item()
    print(f"{what}: {error:.2e}{'' if error < LIMIT else ' WRONG'}")
    return error < LIMIT


@torch.no_grad()
def check(what: str, pipe: StableDiffusionPipeline, wanted: dict[str, torch.Tensor]) -> bool:
    x = normal("x", (1, 6, 8, 4)).permute(0, 3, 1, 2)
    rgb = normal("rgb", (1, 24, 32, 3)).permute(0, 3, 1, 2)
    z = normal("z", (1, 6, 8, 4)).permute(0, 3, 1, 2)
    text = pipe.text_encoder(torch.tensor([[i * 7 % 30 for i in range(9)]]))[0]
    outputs = {
        "text": text,
        "unet": channels_last(pipe.unet(x, torch.tensor([501]), text).sample),
        "moments": channels_last(pipe.vae.encode(rgb).latent_dist.parameters),
        "picture": channels_last(pipe.vae.decode(z).sample),
    }
    fine = [compare(f"{what} {name}", value, wanted[name]) for name, value in outputs.items()]
    print(f"{what}: {pipe.scheduler.config.prediction_type}, scale {pipe.vae.config.scaling_factor}")
    return all(fine) and pipe.scheduler.config.prediction_type == "v_prediction"


def zero_terminal_snr(folder: Path, wanted: bool) -> bool:
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    scheduler.set_timesteps(5)
    last, first = scheduler.alphas_cumprod[-1].item(), scheduler.timesteps[0].item()
    print(f"{folder.name}: the last timestep has {last:.2e} of the picture, a walk begins at {first}")
    return (last == 0 and first == 999) == wanted


def tiny_tokenizer(folder: Path) -> Path:
    """CLIP's kind of tokenizer with 30 tokens."""
    folder.mkdir(exist_ok=True)
    letters = [chr(ord("a") + i) for i in range(14)]
    words = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=9).save_pretrained(folder)
    return folder


def main() -> None:
    folder = Path(sys.argv[1])
    wanted = load_file(folder / "outputs.safetensors")
    fine = [check("folder", StableDiffusionPipeline.from_pretrained(folder / "F32-folder", tokenizer=None), wanted)]
    config = folder / "config"  # whose sizes from_single_file takes; it would else fetch those of SD 1.5
    shutil.copytree(folder / "F32-folder", config, dirs_exist_ok=True)
    tiny_tokenizer(config / "tokenizer")
    index = json.loads((config / "model_index.json").read_text())
    index["tokenizer"] = ["transformers", "CLIPTokenizer"]
    (config / "model_index.json").write_text(json.dumps(index))
    pipe = StableDiffusionPipeline.from_single_file(
        str(folder / "F32-a.safetensors"), config=str(config), local_files_only=True
    )
    fine.append(check("single file", pipe, wanted))
    fine += [zero_terminal_snr(folder / "F32-folder", False), zero_terminal_snr(folder / "F16-folder", True)]
    marked = StableDiffusionPipeline.from_single_file(
        str(folder / "F16-a.safetensors"), config=str(folder / "F16-folder"), tokenizer=pipe.tokenizer, local_files_only=True
    )
    fine.append(marked.scheduler.config.rescale_betas_zero_snr)
    torch.manual_seed(0)
    picture = pipe("a b", height=24, width=32, num_inference_steps=2, output_type="np").images[0]
    print("a picture of", picture.shape)
    vae = AutoencoderKL.from_single_file(str(folder / "F32-a.safetensors"), config=str(config), subfolder="vae")
    z = normal("z", (1, 6, 8, 4)).permute(0, 3, 1, 2)
    fine.append(compare("autoencoder alone", channels_last(vae.decode(z).sample), wanted["picture"]))
    sys.exit(0 if all(fine) else 1)


if __name__ == "__main__":
    main()
