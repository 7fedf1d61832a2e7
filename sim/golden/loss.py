"""Golden loss: what hw/units/loss.py computes, and the table that both take their errors from."""

import numpy as np

from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import to_bits


def loss_table(timesteps: int, classes: int, loss_scale: float, fmt: FloatFormat) -> np.ndarray:
    """Error at a neuron's spikes by (target, spikes fired), as raw bits of shape (2, T + 1).

    The derivative of the mean over the classes of (spikes / T - target)^2, times the loss scale:
    ``2 * (count / T - target) / (classes * T) * loss_scale``, rounded once.
    """
    count = np.arange(timesteps + 1)
    target = np.arange(2)[:, None]
    return to_bits(2 * (count / timesteps - target) / (classes * timesteps) * loss_scale, fmt)


def loss_errors(spikes: np.ndarray, label: int, table: np.ndarray) -> np.ndarray:
    """Errors (1, T, classes) for spikes (1, T, classes): the table's value at every timestep."""
    _, steps, classes = spikes.shape
    counts = spikes[0].sum(axis=0, dtype=np.int64)
    target = np.arange(classes) == label
    return np.broadcast_to(table[target.astype(int), counts], (1, steps, classes)).copy()


def mean_squared_error(counts: np.ndarray, label: int, timesteps: int) -> float:
    """The loss itself, for reports: mean over the classes of (rate - one-hot)^2."""
    target = np.arange(counts.size) == label
    return float(np.mean((counts / timesteps - target) ** 2))
