"""Loads the LoRA files of native/tests/export_test.cpp in diffusers and PEFT, and compares what the model gives
with ours. Run by hand:

    node native/build.ts export_test    # prints the program's path
    PROGRAM /tmp/export && bench/.venv/bin/python test/peers/load_lora.py /tmp/export/export
"""

import sys
from pathlib import Path

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from peft import LoraConfig, inject_adapter_in_model, set_peft_model_state_dict
from safetensors.torch import load_file

from unet import channels_last, normal

LIMIT = 1e-3


@torch.no_grad()
def outputs(pipe: StableDiffusionPipeline) -> torch.Tensor:
    """What said_by() of export_models.h gives."""
    x = normal("x", (1, 6, 8, 4)).permute(0, 3, 1, 2)
    text = pipe.text_encoder(torch.tensor([[i * 7 % 30 for i in range(9)]]))[0]
    said = pipe.unet(x, torch.tensor([501]), text).sample
    return torch.cat([channels_last(said).flatten(), text.flatten()])


def one_step(said: torch.Tensor) -> torch.Tensor:
    """The latent after a DDIM step."""
    x = normal("x", (1, 6, 8, 4))
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)
    scheduler.set_timesteps(2)
    return scheduler.step(said[: x.numel()].reshape(x.shape), 501, x).prev_sample


def compare(what: str, got: torch.Tensor, wanted: torch.Tensor) -> bool:
    error = ((got - wanted).norm() / wanted.norm()).item()
    step = ((one_step(got) - one_step(wanted)).norm() / one_step(wanted).norm()).item()
    print(f"{what}: {error:.2e}, latents after a step {step:.2e}{'' if max(error, step) < LIMIT else ' WRONG'}")
    return max(error, step) < LIMIT


def load(base: Path) -> StableDiffusionPipeline:
    return StableDiffusionPipeline.from_pretrained(base, tokenizer=None)


def by_peft_alone(base: Path, file: Path) -> StableDiffusionPipeline:
    """Without diffusers' loader: the keys are PEFT's, and the scale is 1."""
    pipe = load(base)
    weights = load_file(file)
    for prefix, model in (("unet.", pipe.unet), ("text_encoder.", pipe.text_encoder)):
        state = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        if prefix == "text_encoder." and not hasattr(model, "text_model"):
            state = {k.removeprefix("text_model."): v for k, v in state.items()}
        ranks = {k.removesuffix(".lora_A.weight"): v.shape[0] for k, v in state.items() if ".lora_A." in k}
        config = LoraConfig(r=1, lora_alpha=1, rank_pattern=ranks, alpha_pattern=ranks, target_modules=list(ranks))
        inject_adapter_in_model(config, model)
        report = set_peft_model_state_dict(model, state)
        assert not report.unexpected_keys, report.unexpected_keys
    return pipe


def main() -> None:
    folder = Path(sys.argv[1])
    wanted = load_file(folder / "outputs.safetensors")
    base = folder / "base"
    fine = [compare("the base", outputs(load(base)), wanted["without"])]
    print(f"the LoRA's effect: {((wanted['with'] - wanted['without']).norm() / wanted['without'].norm()).item():.2f}")
    for name in ("F32.safetensors", "F32-peft.safetensors", "F16.safetensors", "F16-peft.safetensors"):
        pipe = load(base)
        pipe.load_lora_weights(folder, weight_name=name)
        fine.append(compare(f"diffusers, {name}", outputs(pipe), wanted["with"]))
    fine.append(compare("PEFT alone, F32-peft.safetensors", outputs(by_peft_alone(base, folder / "F32-peft.safetensors")), wanted["with"]))
    fine.append(compare("merged folder", outputs(load(folder / "merged")), wanted["with"]))
    sys.exit(0 if all(fine) else 1)


if __name__ == "__main__":
    main()
