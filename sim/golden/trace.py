"""What golden keeps of samples."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np


@dataclass
class Trace:
    """What samples left in each layer, by its number, for backward and for comparison: arrays (N, y, x, T, channel), or
    without N those of one sample. inputs: of every part of each layer, in their order; of several reads, channels of
    one beside those of the next. sums: of layers whose sums others add, these, nothing of others. pooled: what the
    layers above read, the spikes or those of their windows. normed: the normalised sums of layers with a norm, nothing
    of others. winners: of layers with windows, which pixel of each of them is the largest, nothing of others. outputs:
    one array (N, classes), how often each class fired or what its readout says. leak_terms: of layers that learn their
    leaks, the terms of these gradients, nothing of others. added: of layers that add sums, and of those whose sums
    others add, the errors at these, nothing of others."""

    inputs: list[np.ndarray]
    spikes: list[np.ndarray]
    pooled: list[np.ndarray]
    masks: list[np.ndarray]
    potentials: list[np.ndarray]
    sums: list[np.ndarray]
    normed: list[np.ndarray]
    winners: list[np.ndarray]
    errors: list[np.ndarray]
    outputs: list[np.ndarray]
    leak_terms: list[np.ndarray]
    added: list[np.ndarray]

    def sample(self, number: int) -> "Trace":
        """The arrays of one sample of several."""
        return Trace(*([array[number] for array in getattr(self, part.name)] for part in fields(self)))

    def samples(self) -> "Iterator[Trace]":
        """The arrays of each sample."""
        return map(self.sample, range(len(self.outputs[0])))


def at_steps(array: np.ndarray, first: int, end: int) -> np.ndarray:
    """The timesteps from ``first`` up to ``end``, some of which there may not be, of an array (..., T, channel): those
    are 0."""
    steps = array.shape[-2]
    if (first, end) == (0, steps):
        return array
    found = np.zeros((*array.shape[:-2], end - first, array.shape[-1]), array.dtype)
    low, high = max(first, 0), min(end, steps)
    if low < high:
        found[..., low - first : high - first, :] = array[..., low:high, :]
    return found
