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


def loss_table(
    most: int, classes: int, loss_scale: float, fmt: FloatFormat, loss: Loss = MSE, wanted: np.ndarray | None = None
) -> np.ndarray:
    """The loss unit's table as raw bits, (labels, 2, most + 1 or more), with the loss scale and the weight of the
    label's class; without weights of classes one, (1, 2, most + 1 or more), for all labels. ``most``: see
    :class:`Loss`.

    Of a loss of every class by itself, the error at a class's spikes by (whether it is the label's, spikes fired). Of
    a softmax, first the output by the spikes fired, then :data:`trident.hw.isa.losses.NUMBERS`; with what is ``wanted``
    of every class of each sample, (N, classes), a table for every sample, whose label is its number, with that behind.
    """
    count, weights = np.arange(most + 1), np.array(loss.weights or (1.0,))[:, None]
    if not loss.softmax:
        wanted = np.array([loss.other, loss.label])[:, None]
        return to_bits(loss.own_errors(count, wanted, most, classes) * loss_scale * weights[..., None], fmt)
    gain = loss.per_spike(most) * loss_scale
    table = np.zeros((len(weights), 2, max(most + 1, len(NUMBERS))))
    table[:, 0, : most + 1] = loss.per_spike(most) * count
    table[:, 1, : len(NUMBERS)] = weights * (gain, gain * loss.label, gain * loss.other)
    if wanted is not None:
        room = max(table.shape[2], len(NUMBERS) + classes)
        table = np.pad(table, ((0, len(wanted) - 1), (0, 0), (0, room - table.shape[2])), "edge")
        table[:, 1] = 0
        table[:, 1, 0], table[:, 1, len(NUMBERS) : len(NUMBERS) + classes] = gain, gain * wanted
    return to_bits(table, fmt)


def tables_of(labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The number of the table that samples with these labels (N,) have."""
    return np.asarray(labels) if len(table) > 1 else np.zeros_like(labels)


def loss_errors(counts: np.ndarray, labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Errors at the spikes of classes that fired so often (N, classes), for labels (N,): the table's, raw bits (N,
    classes)."""
    label = np.arange(counts.shape[1]) == np.reshape(labels, (-1, 1))
    return table[np.reshape(tables_of(labels, table), (-1, 1)), label.astype(int), counts]


def spread_votes(values: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Values of classes (N, classes) at the spikes ``top`` (N, y, x, T, channel) of their voters: the same at every
    timestep."""
    votes = values.repeat(top[0, :, :, 0].size // values.shape[1], axis=1)
    return np.broadcast_to(votes.reshape(*top.shape[:3], 1, -1), top.shape)
