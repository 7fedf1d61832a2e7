"""Golden loss: the table that hw/units/loss.py takes its errors from, and what it computes."""

from dataclasses import dataclass

import numpy as np

from trident.hw.isa.format import FloatFormat
from trident.hw.isa.losses import NUMBERS
from trident.sim.golden.format import to_bits
from trident.snn.losses import MSE, Loss


@dataclass(frozen=True, eq=False)
class LossConstants:
    """What errors begin with: the loss unit's table, see :func:`loss_table`, and the loss scale, which penalties of
    spikes are multiplied by."""

    table: np.ndarray
    scale: float


def loss_table(timesteps: int, classes: int, loss_scale: float, fmt: FloatFormat, loss: Loss = MSE) -> np.ndarray:
    """The loss unit's table as raw bits, (labels, 2, T + 1 or more), with the loss scale and the weight of the label's
    class; without weights of classes one, (1, 2, T + 1 or more), for all labels.

    Of a loss of every class by itself, the error at a neuron's spikes by (whether it is the label's, spikes fired). Of
    a softmax, first the output by the spikes fired, then :data:`trident.hw.isa.losses.NUMBERS`.
    """
    count, weights = np.arange(timesteps + 1), np.array(loss.weights or (1.0,))[:, None]
    if not loss.softmax:
        wanted = np.array([loss.other, loss.label])[:, None]
        return to_bits(loss.own_errors(count, wanted, timesteps, classes) * loss_scale * weights[..., None], fmt)
    gain = loss.per_spike(timesteps) * loss_scale
    table = np.zeros((len(weights), 2, max(timesteps + 1, len(NUMBERS))))
    table[:, 0, : timesteps + 1] = loss.per_spike(timesteps) * count
    table[:, 1, : len(NUMBERS)] = weights * (gain, gain * loss.label, gain * loss.other)
    return to_bits(table, fmt)


def tables_of(labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The number of the table that samples with these labels (N,) have."""
    return np.asarray(labels) if len(table) > 1 else np.zeros_like(labels)


def loss_errors(spikes: np.ndarray, labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Errors for spikes (N, y, x, T, channel), whose classes are y, x, channel, with these labels (N,): the table's,
    raw bits of the shape of ``spikes``, the same at every timestep."""
    samples, y, x, _, channels = spikes.shape
    counts = spikes.sum(axis=3, keepdims=True, dtype=np.int64)
    numbers = np.arange(y * x * channels).reshape(1, y, x, 1, channels)
    label = numbers == np.reshape(labels, (samples, 1, 1, 1, 1))
    own = tables_of(labels, table).reshape(samples, 1, 1, 1, 1)
    return np.broadcast_to(table[own, label.astype(int), counts], spikes.shape)
