"""The demo's model trained in PyTorch + diffusers on the demo's prepared data: the peer of bench/quality.ts.

    python quality.py JOB OUT

JOB is the job.json of one of Tiller's own trainers: recipe, seed, threads and data set are taken from it.
The weights begin with Tiller's very numbers, and each step has Tiller's order, timesteps, noise and dropped
captions: luck is the same on both sides, and what differs is who computes. After each epoch it measures the
loss of the held-out pictures and samples every prompt into OUT/epoch-N.u8 (prompts × height × width × RGB),
both with the averaged weights. After the last one it measures the training pictures in the same way. The
last line printed is JSON.

PyTorch is given what makes it fast here: a fused AdamW and a fused running average. Drawing its batches is
not counted as its time.
"""

import copy
import functools
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
import philox
from naming import sd_name

torch.set_num_threads(JOB["threads"])
SEED, RECIPE, MANIFEST = JOB["seed"], JOB["recipe"], Path(JOB["data"]["manifest"])
DATA, MODEL, TRAIN, SAMPLES = RECIPE["data"], RECIPE["model"], RECIPE["train"], RECIPE["samples"]
TEXT = MODEL["text"]


# ---- data: pixels → latents of mean 0 a channel and deviation 1 over all, captions → rows of word numbers
manifest = json.loads(MANIFEST.read_text())
assert not DATA["flip"] and all(len(item["captions"]) == 1 for item in manifest["train"])
pixels = np.fromfile(MANIFEST.parent / manifest["pixels"], np.uint8)
first = manifest["train"][0]
HEIGHT, WIDTH = first["height"] // 2, first["width"] // 2
A_PICTURE = first["height"] * first["width"] * 3
for item in manifest["train"] + manifest["validation"]:
    assert item["bucket"] == [item["width"], item["height"]] == [first["width"], first["height"]]
    item["index"] = item["offset"] // A_PICTURE
pixels = pixels.reshape(-1, HEIGHT, 2, WIDTH, 2, 3).transpose(0, 2, 4, 5, 1, 3)  # as Tiller counts: dy, dx, colour
latents = torch.from_numpy(pixels.reshape(-1, 12, HEIGHT, WIDTH) / 127.5 - 1).float()
captions = {item["key"]: item["captions"][0]["text"] for item in manifest["train"] + manifest["validation"]}
train = latents[[item["index"] for item in manifest["train"]]]
MEAN = train.mean((0, 2, 3), keepdim=True)
DEVIATION = (train - MEAN).square().mean().sqrt()
latents = (latents - MEAN) / DEVIATION


def normals(seed: int, purpose: int, epoch: int = 0, item: int = 0) -> torch.Tensor:
    """Noise of a latent, which Tiller counts with the channels innermost."""
    flat = philox.stream(12 * HEIGHT * WIDTH, seed, purpose, epoch, item)
    return torch.from_numpy(flat).reshape(HEIGHT, WIDTH, 12).permute(2, 0, 1)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def row(name: str, deviation: float, count: int = TEXT["width"]) -> torch.Tensor:
    flat = philox.stream(count, SEED, philox.INITIALIZATION, 0, philox.hash_name(name))
    return torch.from_numpy(flat) * deviation


EMBEDDINGS = "cond_stage_model.transformer.text_model.embeddings."
PAD, START, END = 0, 1, 2
VOCABULARY = {w: 3 + i for i, w in enumerate(sorted({w for i in manifest["train"] for w in words(captions[i["key"]])}))}
SPECIAL = row(EMBEDDINGS + "token_embedding.weight", TEXT["embedding_deviation"], 3 * TEXT["width"])
TABLE = torch.stack([*SPECIAL.reshape(3, -1), *(row("word " + w, TEXT["embedding_deviation"]) for w in VOCABULARY)])
POSITIONS = row(EMBEDDINGS + "position_embedding.weight", TEXT["position_deviation"], TEXT["tokens"] * TEXT["width"])
POSITIONS = POSITIONS.reshape(TEXT["tokens"], TEXT["width"])


def tokens(text: str) -> torch.Tensor:
    known = [VOCABULARY[w] for w in words(text) if w in VOCABULARY][: TEXT["tokens"] - 2]
    numbers = [START, *known, END]
    return torch.tensor(numbers + [PAD] * (TEXT["tokens"] - len(numbers)))


def encode(ids: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(TABLE[ids] + POSITIONS, (TEXT["width"],))


# ---- model and noise schedule
WIDTHS = [MODEL["base_channels"] * m for m in MODEL["channel_multipliers"]]
unet = UNet2DConditionModel(
    in_channels=12,
    out_channels=12,
    down_block_types=("CrossAttnDownBlock2D",) * len(WIDTHS),
    up_block_types=("CrossAttnUpBlock2D",) * len(WIDTHS),
    block_out_channels=WIDTHS,
    layers_per_block=MODEL["res_blocks"],
    cross_attention_dim=TEXT["width"],
    attention_head_dim=MODEL["heads"],  # the number of heads, despite its name
    norm_num_groups=32,
).train()


@torch.no_grad()
def initialize() -> None:
    """As PyTorch's layers do it, from Tiller's numbers: uniform in ±1/√fan-in; norms are 1 and 0."""
    named = dict(unet.named_parameters())
    for name, parameter in named.items():
        matrix = named[name.rsplit(".", 1)[0] + ".weight"]
        if matrix.dim() == 1:
            parameter.fill_(float(name.endswith(".weight")))
            continue
        item = philox.hash_name(sd_name(name, MODEL["res_blocks"], [True] * len(WIDTHS)))
        flat = 2 * philox.uniforms(parameter.numel(), SEED, philox.INITIALIZATION, 0, item) - 1
        parameter.copy_(torch.from_numpy(flat).reshape(parameter.shape) / matrix[0].numel() ** 0.5)


initialize()
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


@torch.no_grad()
def validate(items: list[dict]) -> float:
    """The mean over the items at the middle of each bin of the timesteps."""
    x0 = latents[[item["index"] for item in items]]
    ids = torch.stack([tokens(captions[item["key"]]) for item in items])
    total = 0.0
    for b in range(BINS):
        t = torch.full((len(items),), (2 * b + 1) * TRAIN["timesteps"] // (2 * BINS))
        noise = torch.stack([normals(SEED, philox.VALIDATION_NOISE, b, int(item["key"], 16)) for item in items])
        total += losses(average, x0, t, noise, ids).mean().item()
    return total / BINS


@torch.no_grad()
def sample() -> np.ndarray:
    prompts = SAMPLES["prompts"]
    with_words = torch.stack([tokens(p["text"]) for p in prompts])
    context = encode(torch.cat([with_words, tokens("").expand_as(with_words)]))
    x = torch.stack([normals(p["seed"], philox.SAMPLE_NOISE) for p in prompts])
    scheduler.set_timesteps(SAMPLES["steps"])
    for t in scheduler.timesteps:
        prompted, free = average(torch.cat([x, x]), t, context).sample.chunk(2)
        x = scheduler.step(free + SAMPLES["guidance"] * (prompted - free), t, x).prev_sample
    cells = (x * DEVIATION + MEAN).reshape(len(prompts), 2, 2, 3, HEIGHT, WIDTH).permute(0, 4, 1, 5, 2, 3)
    pictures = cells.reshape(len(prompts), 2 * HEIGHT, 2 * WIDTH, 3)
    return ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()


# ---- training
STEPS_OF_PASS = -(-len(manifest["train"]) // TRAIN["batch"])  # the last one of a pass may be smaller


@functools.cache
def order(number: int) -> list[int]:
    return philox.permutation(len(manifest["train"]), SEED, philox.ORDER, number)


def draw(step: int) -> tuple[torch.Tensor, ...]:
    """A batch: latents, timesteps, noise and words, all functions of the seed, the pass and the picture."""
    chosen, ts, noise, ids = [], [], [], []
    number, part = divmod(step - 1, STEPS_OF_PASS)
    for place in order(number)[part * TRAIN["batch"] : (part + 1) * TRAIN["batch"]]:
        item = manifest["train"][place]
        key = int(item["key"], 16)
        [t] = philox.below([TRAIN["timesteps"]], SEED, philox.TIMESTEP, number, key)
        [chance] = philox.uniforms(1, SEED, philox.CAPTION_DROPOUT, number, key)
        chosen.append(item["index"])
        ts.append(t)
        noise.append(normals(SEED, philox.NOISE, number, key))
        ids.append(tokens("" if chance < DATA["caption_dropout"] else captions[item["key"]]))
    return latents[chosen], torch.tensor(ts), torch.stack(noise), torch.stack(ids)


def main() -> None:
    optimizer = torch.optim.AdamW(
        parameters,
        lr=TRAIN["learning_rate"],
        betas=(TRAIN["beta1"], TRAIN["beta2"]),
        eps=TRAIN["epsilon"],
        weight_decay=TRAIN["weight_decay"],
        fused=True,
    )
    epochs, seconds = [], 0.0
    for epoch in range(1, TRAIN["epochs"] + 1):
        first = (epoch - 1) * TRAIN["steps_per_epoch"] + 1
        steps = range(first, first + TRAIN["steps_per_epoch"])
        batches = [draw(step) for step in steps]
        start = time.perf_counter()
        for step, batch in zip(steps, batches):
            for group in optimizer.param_groups:
                group["lr"] = TRAIN["learning_rate"] * min(1, step / TRAIN["warmup_steps"])
            optimizer.zero_grad(set_to_none=True)
            losses(unet, *batch).mean().backward()
            torch.nn.utils.clip_grad_norm_(parameters, TRAIN["clip"], foreach=True)
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(averages, parameters, 1 - min(TRAIN["ema"], (1 + step) / (10 + step)))
        sample().tofile(OUT / f"epoch-{epoch}.u8")
        validation = validate(manifest["validation"])
        seconds += time.perf_counter() - start
        epochs.append({"epoch": epoch, "validation": validation, "seconds": seconds})
        print(json.dumps(epochs[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"epochs": epochs, "train": validate(manifest["train"])}))


main()
