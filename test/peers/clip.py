"""Golden tensors for native/tests/clip_test.cpp: transformers' text encoder with its last layer left out
(clip_skip 2), and a prompt of two chunks with weights. Weights come from the tensors' names (unet.py).

    bench/.venv/bin/python test/peers/clip.py
"""

import torch
from transformers import CLIPTextConfig, CLIPTextModel

from unet import TEXT, fill, normal, save


def encoder() -> tuple[CLIPTextModel, dict[str, torch.nn.Parameter]]:
    config = CLIPTextConfig(
        vocab_size=30,
        hidden_size=12,
        intermediate_size=20,
        num_hidden_layers=3,
        num_attention_heads=3,
        max_position_embeddings=9,
        hidden_act="quick_gelu",
    )
    model = CLIPTextModel(config)
    return model, fill(model, lambda name: TEXT + name.removeprefix("text_model."))


def skipped(model: CLIPTextModel, ids: torch.Tensor, clip_skip: int) -> torch.Tensor:
    """A1111's and sd-scripts' way: an earlier hidden state, then the final norm."""
    states = model(input_ids=ids, output_hidden_states=True).hidden_states
    inner = getattr(model, "text_model", model)
    return inner.final_layer_norm(states[-clip_skip])


def emphasized(z: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """A1111's way, a chunk at a time."""
    before = z.mean(dim=(1, 2), keepdim=True)
    z = z * weights[:, :, None]
    return z * (before / z.mean(dim=(1, 2), keepdim=True))


if __name__ == "__main__":
    model, named = encoder()
    # Two texts of two chunks each: 2, tokens, 29, and filled up with 29.
    ids = torch.tensor(
        [
            [2, 3, 1, 4, 1, 5, 9, 6, 29],
            [2, 8, 29, 29, 29, 29, 29, 29, 29],
            [2, 27, 18, 28, 18, 28, 4, 5, 29],
            [2, 29, 29, 29, 29, 29, 29, 29, 29],
        ]
    )
    weights = torch.ones(4, 9)
    weights[0, 2:5], weights[1, 1], weights[2, 3] = 1.21, -0.5, 1 / 1.1
    y = skipped(model, ids, 2)
    joined = y.reshape(2, 18, 12)
    joined.backward(normal("dy", (2, 18, 12)))
    tensors = {"y": joined, "last": skipped(model, ids, 1), "first": skipped(model, ids, 3)}
    tensors["emphasized"] = emphasized(y, weights).reshape(2, 18, 12)
    save("clip_skip.safetensors", tensors | {n: p.grad for n, p in named.items() if p.grad is not None})
