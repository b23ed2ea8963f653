"""The demo's model trained in PyTorch + diffusers on the demo's prepared data: the peer of bench/quality.ts.

    python quality.py JOB OUT

JOB is the job.json of one of Tiller's own trainers: recipe, seed, threads and data set are taken from it.
After each epoch it measures the loss of the held-out pictures, with the very noise that Tiller measures
with, and samples every prompt into OUT/epoch-N.u8 (prompts × height × width × RGB), both with the averaged
weights. After the last one it measures the training pictures in the same way. The last line printed is JSON.

PyTorch is given what makes it fast here: a fused AdamW and a fused running average.
"""

import copy
import json
import re
import sys
import time
from pathlib import Path

JOB, OUT = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DConditionModel

sys.path.append(str(Path(__file__).parents[2] / "test" / "peers"))
from philox import stream

torch.set_num_threads(JOB["threads"])
torch.manual_seed(JOB["seed"])
RECIPE, MANIFEST = JOB["recipe"], Path(JOB["data"]["manifest"])
MODEL, TEXT, TRAIN, SAMPLES = RECIPE["model"], RECIPE["model"]["text"], RECIPE["train"], RECIPE["samples"]


# ---- data: pixels → latents of mean 0 a channel and deviation 1 over all, captions → rows of word numbers
manifest = json.loads(MANIFEST.read_text())
pixels = np.fromfile(MANIFEST.parent / manifest["pixels"], np.uint8)
pixels = pixels.reshape(-1, manifest["height"], manifest["width"], 3)
latents = F.pixel_unshuffle(torch.from_numpy(pixels / 127.5 - 1).float().permute(0, 3, 1, 2), 2)
train_captions = [item["captions"][0]["text"] for item in manifest["train"]]
train = latents[[item["index"] for item in manifest["train"]]]
MEAN = train.mean((0, 2, 3), keepdim=True)
DEVIATION = (train - MEAN).square().mean().sqrt()
train = (train - MEAN) / DEVIATION


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


PAD, START, END = 0, 1, 2
VOCABULARY = {word: 3 + i for i, word in enumerate(sorted({w for c in train_captions for w in words(c)}))}
TABLE = torch.randn(3 + len(VOCABULARY), TEXT["width"]) * TEXT["embedding_deviation"]
POSITIONS = torch.randn(TEXT["tokens"], TEXT["width"]) * TEXT["position_deviation"]


def tokens(text: str) -> torch.Tensor:
    known = [VOCABULARY[w] for w in words(text) if w in VOCABULARY][: TEXT["tokens"] - 2]
    row = [START, *known, END]
    return torch.tensor(row + [PAD] * (TEXT["tokens"] - len(row)))


def encode(ids: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(TABLE[ids] + POSITIONS, (TEXT["width"],))


train_ids = torch.stack([tokens(c) for c in train_captions])
NOTHING = tokens("")

# ---- model and noise schedule
WIDTHS = [MODEL["base_channels"] * m for m in MODEL["channel_multipliers"]]
unet = UNet2DConditionModel(
    in_channels=train.shape[1],
    out_channels=train.shape[1],
    down_block_types=("CrossAttnDownBlock2D",) * len(WIDTHS),
    up_block_types=("CrossAttnUpBlock2D",) * len(WIDTHS),
    block_out_channels=WIDTHS,
    layers_per_block=MODEL["res_blocks"],
    cross_attention_dim=TEXT["width"],
    attention_head_dim=MODEL["heads"],  # the number of heads, despite its name
    norm_num_groups=32,
).train()
average = copy.deepcopy(unet)
parameters, averages = list(unet.parameters()), list(average.parameters())
scheduler = DDIMScheduler(
    num_train_timesteps=TRAIN["timesteps"],
    beta_start=TRAIN["beta_start"],
    beta_end=TRAIN["beta_end"],
    beta_schedule="scaled_linear",
    prediction_type="v_prediction",
    timestep_spacing="trailing",
    clip_sample=False,
)


def losses(model: torch.nn.Module, x0: torch.Tensor, t: torch.Tensor, noise: torch.Tensor, ids: torch.Tensor):
    """One a picture."""
    said = model(scheduler.add_noise(x0, noise, t), t, encode(ids)).sample
    return (said - scheduler.get_velocity(x0, noise, t)).square().mean(dim=(1, 2, 3))


# ---- one epoch's ends
BINS = RECIPE["validation"]["bins"]
VALIDATION_NOISE = 8  # Purpose::validation_noise of native/compute/rng.h


def fixed_noise(key: str, b: int) -> torch.Tensor:
    """Tiller's own: it counts [height, width, dy, dx, colour], PyTorch's pixel_unshuffle colour, dy, dx."""
    channels, height, width = train.shape[1:]
    flat = stream(channels * height * width, JOB["seed"], VALIDATION_NOISE, b, int(key, 16))
    noise = torch.from_numpy(flat).reshape(height, width, 2, 2, channels // 4)
    return noise.permute(4, 2, 3, 0, 1).reshape(channels, height, width)


@torch.no_grad()
def validate(items: list[dict]) -> float:
    """The mean over the items at the middle of each bin of the timesteps."""
    x0 = (latents[[item["index"] for item in items]] - MEAN) / DEVIATION
    ids = torch.stack([tokens(item["captions"][0]["text"]) for item in items])
    total = 0.0
    for b in range(BINS):
        t = torch.full((len(items),), (2 * b + 1) * TRAIN["timesteps"] // (2 * BINS))
        noise = torch.stack([fixed_noise(item["key"], b) for item in items])
        total += losses(average, x0, t, noise, ids).mean().item()
    return total / BINS


@torch.no_grad()
def sample() -> np.ndarray:
    prompts = SAMPLES["prompts"]
    with_words = torch.stack([tokens(p["text"]) for p in prompts])
    context = encode(torch.cat([with_words, NOTHING.expand_as(with_words)]))
    noise = [torch.randn(train.shape[1:], generator=torch.Generator().manual_seed(p["seed"])) for p in prompts]
    x = torch.stack(noise)
    scheduler.set_timesteps(SAMPLES["steps"])
    for t in scheduler.timesteps:
        prompted, free = average(torch.cat([x, x]), t, context).sample.chunk(2)
        x = scheduler.step(free + SAMPLES["guidance"] * (prompted - free), t, x).prev_sample
    pixels = F.pixel_shuffle(x * DEVIATION + MEAN, 2).permute(0, 2, 3, 1)
    return ((pixels + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()


# ---- training
def main() -> None:
    optimizer = torch.optim.AdamW(
        parameters,
        lr=TRAIN["learning_rate"],
        betas=(TRAIN["beta1"], TRAIN["beta2"]),
        eps=TRAIN["epsilon"],
        weight_decay=TRAIN["weight_decay"],
        fused=True,
    )
    batch, order, step, epochs = TRAIN["batch"], [], 0, []
    start = time.perf_counter()
    for epoch in range(1, TRAIN["epochs"] + 1):
        for _ in range(TRAIN["steps_per_epoch"]):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = TRAIN["learning_rate"] * min(1, step / TRAIN["warmup_steps"])
            while len(order) < batch:
                order += torch.randperm(len(train)).tolist()
            chosen, order = order[:batch], order[batch:]
            ids = train_ids[chosen].clone()
            ids[torch.rand(batch) < RECIPE["data"]["caption_dropout"]] = NOTHING
            t = torch.randint(TRAIN["timesteps"], (batch,))
            optimizer.zero_grad(set_to_none=True)
            losses(unet, train[chosen], t, torch.randn(batch, *train.shape[1:]), ids).mean().backward()
            torch.nn.utils.clip_grad_norm_(parameters, TRAIN["clip"], foreach=True)
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(averages, parameters, 1 - min(TRAIN["ema"], (1 + step) / (10 + step)))
        sample().tofile(OUT / f"epoch-{epoch}.u8")
        validation = validate(manifest["validation"])
        epochs.append({"epoch": epoch, "validation": validation, "seconds": time.perf_counter() - start})
        print(json.dumps(epochs[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"epochs": epochs, "train": validate(manifest["train"])}))


main()
