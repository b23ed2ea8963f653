"""The generator of native/compute/rng.h in numpy: the same numbers from the same names."""

import numpy as np

# Purpose of native/compute/rng.h
INITIALIZATION, ORDER, TIMESTEP, NOISE, CAPTION_DROPOUT = 1, 2, 3, 4, 5
SAMPLE_NOISE, VALIDATION_NOISE, TEST_PURPOSE = 7, 8, 1000
TAG_ORDER, TAG_DROPOUT = 11, 12
MASK = (1 << 64) - 1


def philox(counter: np.ndarray, key: int) -> np.ndarray:
    """Philox4x32-10 of counters [n, 4] (uint64 holding 32-bit words)."""
    c0, c1, c2, c3 = (counter[:, i].copy() for i in range(4))
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (b >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            b & low,
            (a >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            a & low,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1)


def mix64(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def hash_name(name: str) -> int:
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def normals(count: int, seed: int, name: str) -> np.ndarray:
    """The first `count` normals of RandomStream(seed, Purpose::test, 0, hash_name(name))."""
    return stream(count, seed, TEST_PURPOSE, 0, hash_name(name))


def words(count: int, seed: int, purpose: int, epoch: int, item: int) -> np.ndarray:
    """The first `count` numbers of 32 bits of RandomStream(seed, purpose, epoch, item)."""
    blocks = (count + 3) // 4
    counter = np.zeros((blocks, 4), np.uint64)
    counter[:, 0] = np.arange(blocks, dtype=np.uint64)
    counter[:, 1], counter[:, 2], counter[:, 3] = epoch, item & 0xFFFFFFFF, item >> 32
    return philox(counter, mix64(seed ^ mix64(purpose))).reshape(-1)[:count]


def stream(count: int, seed: int, purpose: int, epoch: int = 0, item: int = 0) -> np.ndarray:
    """The first `count` normals."""
    bits = words(count + count % 2, seed, purpose, epoch, item).reshape(-1, 2).astype(np.float64)
    radius = np.sqrt(-2 * np.log((bits[:, 0] + 1) * 2.0**-32))
    angle = bits[:, 1] * (2.0**-32 * 6.283185307179586)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.reshape(-1)[:count].astype(np.float32)


def uniforms(count: int, seed: int, purpose: int, epoch: int = 0, item: int = 0) -> np.ndarray:
    """The first `count` numbers in [0, 1)."""
    return ((words(count, seed, purpose, epoch, item) >> np.uint64(8)) * 2.0**-24).astype(np.float32)


def below(limits: list[int], seed: int, purpose: int, epoch: int = 0, item: int = 0) -> list[int]:
    """One number in [0, limit) for each limit, one after another."""
    drawn, bits = [], iter(words(len(limits) + 16, seed, purpose, epoch, item).tolist())
    for limit in limits:
        product = next(bits) * limit
        while product & 0xFFFFFFFF < (1 << 32) % limit:
            product = next(bits) * limit
        drawn.append(product >> 32)
    return drawn


def permutation(count: int, seed: int, purpose: int, epoch: int) -> list[int]:
    order, last = list(range(count)), range(count - 1, 0, -1)
    for i, j in zip(last, below([i + 1 for i in last], seed, purpose, epoch)):
        order[i], order[j] = order[j], order[i]
    return order
