"""Golden drop: what hw/units/drop.py computes."""

from hashlib import sha256

import numpy as np

from trident.hw.isa.dropout import ROUNDS, WORD, hash_round, left_below, round_key
from trident.snn.network.network import Shape

_ALL = (1 << WORD) - 1
_REVERSED = np.array([int(f"{n:0{WORD}b}"[::-1], 2) for n in range(1 << WORD)])  # the bits of words


def layer_key(seed: int, minibatch: int, layer: int) -> int:
    """The key, 32 bits, of a layer's dropout in a minibatch: those of a run are numbered from 0, each is another."""
    return int.from_bytes(sha256(f"dropout {seed} {minibatch} {layer}".encode()).digest()[:4], "little")


def kept(key: int, p: float, samples: np.ndarray, shape: Shape) -> np.ndarray:
    """Which neurons of an image (y, x, channels) are left where the share p is dropped; of samples by their numbers in
    the minibatch: uint8 (N, y, x, channels). Exactly the same whichever core has them, and with which lanes."""
    return (hashes(key, samples, shape) < left_below(p)).astype(np.uint8)


def hashes(key: int, samples: np.ndarray, shape: Shape) -> np.ndarray:
    """The hashes of those neurons, their bits in reverse order, (N, y, x, channels)."""
    y, x, channels = shape
    pixels = np.arange(y * x, dtype=np.int64)[:, None]
    words = np.asarray(samples, np.int64)[:, None, None] & _ALL, key & _ALL, key >> WORD
    first, second = pixels, np.arange(channels, dtype=np.int64)
    for number in range(ROUNDS):
        first, second = hash_round(first, second, round_key(words, number))
    return _REVERSED[second].reshape(-1, y, x, channels)


def drop(
    spikes: np.ndarray, masks: np.ndarray, left: np.ndarray, size: int = 1
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Clear the spikes of what is dropped, at all timesteps, and the masks that let errors through to it.

    Parameters
    ----------
    spikes : uint8 (N, y, x, T, c), of neurons or of windows of ``size`` x ``size`` of them
    masks : uint8 (N, size * y, size * x, T, c), of the neurons
    left : uint8 (N, y, x, c), see :func:`kept`
    """
    here = left[..., None, :]
    return spikes & here, masks & here.repeat(size, axis=1).repeat(size, axis=2)
