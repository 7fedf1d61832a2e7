"""Golden loss: what hw/units/loss.py computes, and the table that both take their errors from."""

import numpy as np

from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import to_bits
from trident.snn.settings import ONE_HOT, Targets


def loss_table(
    timesteps: int, classes: int, loss_scale: float, fmt: FloatFormat, targets: Targets = ONE_HOT
) -> np.ndarray:
    """Error at a neuron's spikes by (whether it is the label's, spikes fired), as raw bits of shape (2, T + 1).

    The derivative of the mean over the classes of (spikes / T - target)^2, times the loss scale:
    ``2 * (count / T - target) / (classes * T) * loss_scale``, rounded once; ``targets``: of every other neuron, and of
    the label's.
    """
    count = np.arange(timesteps + 1)
    target = np.array(targets)[:, None]
    return to_bits(2 * (count / timesteps - target) / (classes * timesteps) * loss_scale, fmt)


def loss_errors(spikes: np.ndarray, labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Errors for spikes (N, y, x, T, channel), whose classes are y, x, channel: the table's value at every timestep.

    Raw bits of the shape of ``spikes``; ``labels`` (N,)."""
    samples, y, x, _, channels = spikes.shape
    counts = spikes.sum(axis=3, keepdims=True, dtype=np.int64)
    target = np.arange(y * x * channels).reshape(1, y, x, 1, channels) == np.reshape(labels, (samples, 1, 1, 1, 1))
    return np.broadcast_to(table[target.astype(int), counts], spikes.shape)
