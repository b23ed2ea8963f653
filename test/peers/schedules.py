"""Noise schedules, min-SNR weights and samplers as diffusers has them: writes test/golden/schedules.json.

pip install torch diffusers (CPU); python test/peers/schedules.py
The toy denoiser is said = 0.3 x + 0.1 sin(3 x) + t / 4000: it depends on x and on t, and no sampler is
exact on it. The samplers spread their timesteps as ours do: "trailing", no Karras sigmas.
"""
import json
import pathlib

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.training_utils import compute_snr

T = 1000
BETAS = {"scaled-linear": "scaled_linear", "linear": "linear", "cosine": "squaredcos_cap_v2"}
PREDICTIONS = {"epsilon": "epsilon", "v": "v_prediction"}
TIMESTEPS = [0, 1, 10, 100, 250, 500, 750, 900, 999]


def settings(betas, prediction):
    return dict(num_train_timesteps=T, beta_start=0.00085, beta_end=0.012, beta_schedule=BETAS[betas],
                prediction_type=PREDICTIONS[prediction])


def denoise(x, t):
    return 0.3 * x + 0.1 * torch.sin(3 * x) + float(t) / 4000


def walk(scheduler, steps, start):
    scheduler.set_timesteps(steps)
    x = torch.tensor(start, dtype=torch.float32)
    for t in scheduler.timesteps:
        x = scheduler.step(denoise(x, t), t, x).prev_sample
    return {"timesteps": [int(t) for t in scheduler.timesteps], "x": x.tolist()}


def main():
    torch.manual_seed(0)
    start = torch.randn(8).tolist()
    golden = {"timesteps": TIMESTEPS, "start": start, "schedules": [], "samplers": []}
    for betas in BETAS:
        ddpm = DDPMScheduler(**settings(betas, "epsilon"))
        at = torch.tensor(TIMESTEPS)
        snr = compute_snr(ddpm, at)
        cut = torch.minimum(snr, torch.full_like(snr, 5.0))
        golden["schedules"].append({
            "betas": betas,
            "alpha_squared": ddpm.alphas_cumprod[at].tolist(),
            # diffusers' examples/text_to_image/train_text_to_image.py, --snr_gamma 5
            "min_snr_epsilon": (cut / snr).tolist(),
            "min_snr_v": (cut / (snr + 1)).tolist(),
        })
    for prediction in PREDICTIONS:
        common = settings("scaled-linear", prediction) | dict(timestep_spacing="trailing")
        for steps in (1, 5, 20, 50):
            ddim = DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
            solver = DPMSolverMultistepScheduler(**common, algorithm_type="dpmsolver++", solver_order=2,
                                                 solver_type="midpoint", final_sigmas_type="zero")
            for name, scheduler in (("ddim", ddim), ("dpm++2m", solver)):
                golden["samplers"].append({"sampler": name, "prediction": prediction, "steps": steps,
                                           **walk(scheduler, steps, start)})
    path = pathlib.Path(__file__).parent.parent / "golden" / "schedules.json"
    path.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
