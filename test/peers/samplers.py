"""Samplers, spacings, zero terminal SNR and noise offset as diffusers has them: writes
test/golden/samplers.json.

pip install torch diffusers (CPU); python test/peers/samplers.py
The toy denoiser is that of schedules.py. Schedulers whose x is x_0 + σ ε start at the same x as ours
(x_0 and noise of variance 1 together) times √(σ² + 1), and show it to the model divided by that. Fresh
noise is native/compute/rng.h's. Only what diffusers rounds or cuts is undone, and said here:
- with Karras's sigmas the model is told the timestep between the whole ones, as in k-diffusion;
- DDIM steps by T // steps whatever its timesteps are: with linspace its peer is Euler at DDIM's timesteps,
  which is the same formula;
- zero terminal SNR has α² = 2^-24 in diffusers for want of 0: here 1e-20 for the solvers, and their
  second step is of first order, the first one being (all but) infinitely long.
"""
import json
import math
import pathlib

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from diffusers.schedulers import scheduling_euler_ancestral_discrete as ancestral
from diffusers.training_utils import compute_snr

import philox
from schedules import BETAS, PREDICTIONS, TIMESTEPS, denoise, settings

SEED, SAMPLER_STEP, NOISE_OFFSET = 11, 20, 21
MULTISTEP = {"dpm++2m": DPMSolverMultistepScheduler, "unipc": UniPCMultistepScheduler}
RATIO = {"euler": EulerDiscreteScheduler, "euler-a": EulerAncestralDiscreteScheduler,
         "heun": HeunDiscreteScheduler}


def make(sampler, prediction, spacing, karras, zero):
    common = settings("scaled-linear", prediction) | dict(timestep_spacing=spacing, steps_offset=1)
    if zero and sampler != "heun":
        common |= dict(rescale_betas_zero_snr=True)
    if sampler == "ddim":
        return DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
    if karras and sampler != "euler-a":
        common |= dict(use_karras_sigmas=True)
    if sampler in RATIO:
        return RATIO[sampler](**common)
    order = dict(solver_order=2, final_sigmas_type="zero")
    if sampler == "unipc":
        return UniPCMultistepScheduler(**common, **order, solver_type="bh2")
    return DPMSolverMultistepScheduler(**common, **order, algorithm_type="dpmsolver++", solver_type="midpoint")


def step_noise(i, like):
    return torch.tensor(philox.stream(like.numel(), SEED, SAMPLER_STEP, i)).reshape(like.shape)


def whole_sigmas(scheduler):
    return np.sqrt((1 - scheduler.alphas_cumprod.numpy()) / scheduler.alphas_cumprod.numpy())


def told_timesteps(scheduler, karras):
    """What the model is told, once a call of it."""
    if not karras:
        return [float(t) for t in scheduler.timesteps]
    table, sigmas = np.log(whole_sigmas(scheduler)), scheduler.sigmas[:-1].numpy().astype(np.float64)
    return [float(np.interp(math.log(s), table, np.arange(len(table)))) for s in sigmas]


def walk(scheduler, sampler, steps, start, spacing, karras=False, eta=0.0, zero=False, strength=None, mask=None):
    if zero and sampler in MULTISTEP:
        scheduler.alphas_cumprod[-1] = 1e-20
    if sampler == "ddim" and spacing == "linspace":
        scheduler.set_timesteps(steps)
        timesteps = [float(t) for t in scheduler.timesteps]
        scheduler = EulerDiscreteScheduler(**settings("scaled-linear", "epsilon" if scheduler.config.prediction_type
                                                      == "epsilon" else "v"))
        scheduler.set_timesteps(timesteps=timesteps)
    else:
        scheduler.set_timesteps(steps)
    if karras and sampler == "euler-a":  # it has none of its own
        peer = EulerDiscreteScheduler(**settings("scaled-linear", "epsilon"), use_karras_sigmas=True)
        peer.set_timesteps(steps)
        scheduler.sigmas, scheduler.timesteps = peer.sigmas, peer.timesteps
    x = torch.tensor(start, dtype=torch.float32).reshape(1, -1, 1, 1)
    ratio = sampler in RATIO or isinstance(scheduler, EulerDiscreteScheduler)
    if ratio:
        x = x * (scheduler.sigmas[0] ** 2 + 1) ** 0.5
    told = told_timesteps(scheduler, karras)
    begin, timesteps = 0, scheduler.timesteps
    if strength is not None:
        # StableDiffusionImg2ImgPipeline.get_timesteps and prepare_latents
        begin = (steps - int(steps * strength)) * scheduler.order
        timesteps, told = timesteps[begin:], told[begin:]
        original = x = torch.tensor(philox.normals(8, 1, "original")).reshape(x.shape)
        if sampler != "ddim":
            scheduler.set_begin_index(begin)
        noise = torch.tensor(philox.stream(8, SEED, philox.SAMPLE_NOISE)).reshape(x.shape)
        x = scheduler.add_noise(original, noise, timesteps[:1])
    for i, t in enumerate(timesteps):
        if zero and i == 1 and sampler in MULTISTEP:
            scheduler.lower_order_nums = 0
        said = denoise(scheduler.scale_model_input(x, t), told[i])
        more = {}
        if sampler == "ddim" and not ratio:
            more = dict(eta=eta, variance_noise=step_noise(begin + i, x) if eta > 0 else None)
        ancestral.randn_tensor = lambda shape, **_: step_noise(begin + i, x)
        x = scheduler.step(said, t, x, **more).prev_sample
        if mask is not None:
            # StableDiffusionInpaintPipeline.__call__
            kept, last = original, i + 1 == len(timesteps)
            kept = kept if last else scheduler.add_noise(original, noise, timesteps[i + 1:i + 2])
            shown = torch.tensor(mask).repeat_interleave(8 // len(mask)).reshape(x.shape)
            x = (1 - shown) * kept + shown * x
    return {"timesteps": [short(t, 8) for t in told], "x": [short(v) for v in x.flatten().tolist()]}


def short(value, digits=7):
    return float(f"{value:.{digits}g}")


def samplers(start):
    cases = []
    for sampler in ("ddim", "euler", "euler-a", "heun", "dpm++2m", "unipc"):
        cases += [(sampler, spacing, {}) for spacing in ("trailing", "leading", "linspace")]
        if sampler != "ddim":
            cases.append((sampler, "linspace", {"karras": True}))
        if sampler != "heun":
            cases.append((sampler, "trailing", {"zero": True}))
        cases.append((sampler, "trailing", {"strength": 0.6}))
    cases += [("ddim", "trailing", {"eta": 1.0}), ("ddim", "trailing", {"eta": 0.5})]
    # Not heun: diffusers blends after its first half too.
    for sampler in ("ddim", "euler", "euler-a", "dpm++2m", "unipc"):
        cases.append((sampler, "trailing", {"strength": 0.6, "mask": [1.0, 0.0, 0.25, 1.0]}))
    for sampler, spacing, more in cases:
        for prediction in PREDICTIONS:
            if more.get("zero") and prediction != "v":
                continue
            for steps in (8, 20):
                scheduler = make(sampler, prediction, spacing, more.get("karras"), more.get("zero"))
                yield {"sampler": sampler, "prediction": prediction, "spacing": spacing, "steps": steps, **more,
                       **walk(scheduler, sampler, steps, start, spacing, **more)}


def rescaled():
    """Lin et al. 2024, algorithm 1; the weights are those of schedules.py."""
    for betas in BETAS:
        ddpm = DDPMScheduler(**settings(betas, "v"), rescale_betas_zero_snr=True)
        at = torch.tensor(TIMESTEPS)
        snr = compute_snr(ddpm, at)
        yield {"betas": betas, "alpha_squared": [short(v) for v in ddpm.alphas_cumprod[at].tolist()],
               "min_snr_v": [short(v) for v in (snr.clamp(max=5.0) / (snr + 1)).tolist()]}


def noise_offset():
    """diffusers' examples/text_to_image/train_text_to_image.py, --noise_offset 0.1; channels last here."""
    name = 0xAA
    noise = torch.tensor(philox.stream(24, SEED, philox.NOISE, 3, name)).reshape(2, 3, 4)
    noise += 0.1 * torch.tensor(philox.stream(4, SEED, NOISE_OFFSET, 3, name))
    return [short(v) for v in noise.flatten().tolist()]


def main():
    start = [short(v) for v in philox.normals(8, 1, "start")]
    golden = {"seed": SEED, "timesteps": TIMESTEPS, "start": start,
              "original": [short(v) for v in philox.normals(8, 1, "original")], "zero_terminal_snr": list(rescaled()),
              "noise_offset": noise_offset(), "samplers": list(samplers(start))}
    path = pathlib.Path(__file__).parent.parent / "golden" / "samplers.json"
    lines = ",\n".join(json.dumps(entry) for entry in golden.pop("samplers"))
    path.write_text(json.dumps(golden)[:-1] + ', "samplers": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
