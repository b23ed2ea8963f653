"""Golden weights for native/tests/optimizer_test.cpp: some steps of AdamW (PyTorch) and Prodigy (prodigyopt,
by its authors) on a small matrix with given gradients.

    bench/.venv/bin/pip install prodigyopt && bench/.venv/bin/python test/peers/optimizers.py
"""

import torch
from prodigyopt import Prodigy

from unet import normal, save

STEPS, SHAPE = 12, (7, 41)


def run(make) -> torch.Tensor:
    p = torch.nn.Parameter(normal("start", SHAPE))
    optimizer = make([p])
    path = []
    for step in range(1, STEPS + 1):
        # Towards 0.3 of another matrix, with noise: a direction that Prodigy can trust.
        p.grad = (p - 0.3 * normal("goal", SHAPE) + 0.5 * normal(f"noise {step}", SHAPE)).detach()
        torch.nn.utils.clip_grad_norm_([p], 20.0)
        optimizer.step()
        path.append(p.detach().clone())
    return torch.stack(path)


if __name__ == "__main__":
    common = {"betas": (0.9, 0.99), "weight_decay": 0.1}
    save(
        "optimizers.safetensors",
        {
            "adamw": run(lambda p: torch.optim.AdamW(p, lr=0.02, **common)),
            "prodigy": run(lambda p: Prodigy(p, lr=1.0, **common)),
        },
    )
