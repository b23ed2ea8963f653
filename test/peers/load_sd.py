"""Loads a checkpoint and a LoRA as Tiller writes them in diffusers (the same latents after a denoising step as
ours) and in stable-diffusion.cpp (a picture, which the LoRA changes). Nothing is downloaded: where no files are
given, both are of random numbers, at Stable Diffusion 1.5's full size (2 GB, 9 GB of memory, some minutes), as
stable-diffusion.cpp knows models by their shapes; or at a tiny one, for diffusers alone. Run by hand:

    bench/.venv/requirements/bin/python test/peers/load_sd.py --size tiny
    python3 -m venv /tmp/sdcpp && /tmp/sdcpp/bin/pip install -r bench/requirements-sdcpp.txt
    bench/.venv/requirements/bin/python test/peers/load_sd.py --sdcpp /tmp/sdcpp/bin/python
        [--checkpoint FILE.safetensors] [--lora KOHYA.safetensors] [--pixels 256] [--steps 2]
"""

import argparse
import gc
import re
import subprocess
import tempfile
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from diffusers import DDIMScheduler, StableDiffusionPipeline
from safetensors.torch import load_file

from checks import LIMIT, Checks
from load_base import tiny_tokenizer
from philox import SAMPLE_NOISE, stream
from random_lora import write_random_lora
from unet import channels_last

ROOT = Path(__file__).parents[2]
SHAPE, SEED = (1, 16, 24, 4), 5  # as one_step.cpp
checks = Checks()


def native(name: str, *args: object) -> None:
    node = ROOT / "node_modules/.bin/node"
    build = subprocess.run([node, ROOT / "native/build.ts", name], check=True, stdout=subprocess.PIPE, text=True)
    subprocess.run([build.stdout.strip(), *map(str, args)], check=True)


def load(checkpoint: Path, folder: Path) -> StableDiffusionPipeline:
    tiny_tokenizer(folder / "config/tokenizer")  # which the loader wants, and nothing here reads
    return StableDiffusionPipeline.from_single_file(
        str(checkpoint), config=str(folder / "config"), local_files_only=True, torch_dtype=torch.float32
    )


@torch.no_grad()
def one_step(pipe: StableDiffusionPipeline) -> dict[str, torch.Tensor]:
    """What one_step.cpp does."""
    config = pipe.text_encoder.config
    ids = torch.tensor([[i * 7 % config.vocab_size for i in range(config.max_position_embeddings)]])
    text = pipe.text_encoder(ids)[0]
    noise = torch.from_numpy(stream(int(np.prod(SHAPE)), SEED, SAMPLE_NOISE).reshape(SHAPE)).permute(0, 3, 1, 2)
    scheduler = DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing", clip_sample=False)
    scheduler.set_timesteps(20)
    said = pipe.unet(noise, scheduler.timesteps[0], text).sample
    latent = scheduler.step(said, scheduler.timesteps[0], noise).prev_sample
    return {"text": text, "said": channels_last(said), "latent": channels_last(latent)}


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def beside_ours(what: str, got: dict[str, torch.Tensor], folder: Path) -> None:
    wanted = load_file(folder / "one_step.safetensors")
    for name, title in (("text", "the text"), ("said", "the noise"), ("latent", "the latent after a step")):
        checks.expect(f"diffusers, {what}: {title}", relative(got[name], wanted[name]))


def in_diffusers(checkpoint: Path, lora: Path | None, folder: Path) -> Path:
    """Returns the LoRA: the given one, or one that it has made."""
    native("one_step", checkpoint, folder)
    pipe = load(checkpoint, folder)
    plain = one_step(pipe)
    beside_ours("the checkpoint", plain, folder)
    if lora is None:
        lora = folder / "random_lora.safetensors"
        write_random_lora(lora, pipe.unet, pipe.text_encoder)
    native("one_step", checkpoint, folder, lora)
    pipe.load_lora_weights(str(lora.parent), weight_name=lora.name, local_files_only=True)
    changed = one_step(pipe)
    beside_ours("with the LoRA", changed, folder)
    # A LoRA that does nothing would be loaded as well by a program that passes it over.
    effect = relative(changed["said"], plain["said"])
    checks.holds("diffusers: the LoRA changes the noise", effect > 20 * LIMIT, f"by {effect:.3f}")
    return lora


def picture(python: str, checkpoint: Path, options: argparse.Namespace, file: Path, lora: Path | None) -> tuple[np.ndarray, str]:
    script = Path(__file__).with_name("sd_cpp_picture.py")
    command = [python, script, checkpoint, file, options.pixels, options.steps, *([lora] if lora else [])]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"stable-diffusion.cpp failed:\n{done.stderr[-3000:]}")
    return np.load(file).astype(np.float64), done.stderr


def in_stable_diffusion_cpp(python: str, checkpoint: Path, lora: Path, options: argparse.Namespace, folder: Path) -> None:
    plain, said = picture(python, checkpoint, options, folder / "plain.npy", None)
    name = "stable-diffusion.cpp"
    checks.holds(f"{name}: takes it for Stable Diffusion 1.x", "Version: SD 1.x" in said)
    checks.holds(f"{name}: knows every tensor", "unknown tensor" not in said)
    sides = (options.pixels, options.pixels, 3)
    checks.holds(f"{name}: a picture of its size", plain.shape == sides, str(plain.shape))
    checks.holds(f"{name}: the picture is no plain colour", plain.std() > 2, f"deviation {plain.std():.1f}")
    changed, said = picture(python, checkpoint, options, folder / "changed.npy", lora)
    used = re.search(r"\((\d+) / (\d+)\) LoRA tensors", said)
    checks.holds(f"{name}: every tensor of the LoRA is used", bool(used) and used[1] == used[2] != "0", used[0] if used else "")
    difference = np.abs(changed - plain).mean() if changed.shape == plain.shape else 0
    checks.holds(f"{name}: the LoRA changes the picture", difference > 1, f"by {difference:.1f} of 255 a value")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--lora", type=Path)
    parser.add_argument("--sdcpp", help="a Python that has cyllama")
    parser.add_argument("--pixels", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2)
    options = parser.parse_args()
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    if options.size == "full" and options.sdcpp is None:
        parser.error("the full size needs --sdcpp: a Python that has cyllama")
    with tempfile.TemporaryDirectory(prefix="tiller-load-sd-") as name:
        folder = Path(name)
        checkpoint = options.checkpoint
        if checkpoint is None:
            checkpoint = folder / "checkpoint.safetensors"
            native("make_sd15", options.size, checkpoint)
        lora = in_diffusers(checkpoint, options.lora, folder)
        gc.collect()  # diffusers' 5 GB, before another program needs as much
        if options.size == "full":
            in_stable_diffusion_cpp(options.sdcpp, checkpoint, lora, options, folder)
    checks.end()


if __name__ == "__main__":
    main()
