"""Golden loss: what hw/units/loss.py computes, and the table that both take their errors from."""

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.losses import NUMBERS, error_program, share_program
from trident.sim.golden.constants import fixed_table
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.sums import Sums
from trident.sim.golden.vector import run_program
from trident.snn.losses import MSE, Loss


def loss_table(timesteps: int, classes: int, loss_scale: float, fmt: FloatFormat, loss: Loss = MSE) -> np.ndarray:
    """The loss unit's table as raw bits, (2, T + 1) or more, with the loss scale.

    Of a loss of every class by itself, the error at a neuron's spikes by (whether it is the label's, spikes fired). Of
    a softmax, first the exponential by how many spikes are missing to the class that fired most, then
    :data:`trident.hw.isa.losses.NUMBERS`.
    """
    count = np.arange(timesteps + 1)
    if not loss.softmax:
        wanted = np.array([loss.other, loss.label])[:, None]
        return to_bits(loss.own_errors(count, wanted, timesteps, classes) * loss_scale, fmt)
    gain = loss.per_spike(timesteps) * loss_scale
    table = np.zeros((2, max(timesteps + 1, len(NUMBERS))))
    table[0, : timesteps + 1] = np.exp(-loss.per_spike(timesteps) * count)
    table[1, : len(NUMBERS)] = gain, gain * loss.label, gain * loss.other
    return to_bits(table, fmt)


def loss_errors(
    spikes: np.ndarray, labels: np.ndarray, table: np.ndarray, cfg: CoreConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Errors for spikes (N, y, x, T, channel), whose classes are y, x, channel: values of the format, of the shape of
    ``spikes``, the same at every timestep; and where there is a fault, (N, channel). ``labels`` (N,)."""
    samples, y, x, _, channels = spikes.shape
    counts = spikes.sum(axis=3, keepdims=True, dtype=np.int64)
    target = np.arange(y * x * channels).reshape(1, y, x, 1, channels) == np.reshape(labels, (samples, 1, 1, 1, 1))
    if cfg.loss == "table":
        errors = to_values(table[target.astype(int), counts], cfg.format)
        return np.broadcast_to(errors, spikes.shape), np.zeros((samples, channels), bool)
    sums = Sums(cfg.format, cfg.loss_fixed)
    values = to_values(table, cfg.format).astype(sums.dtype)
    numbers = dict(zip(NUMBERS, values[1], strict=False))
    parts = values[0][counts.max(axis=(1, 2, 4), keepdims=True) - counts]
    total = sums.round(sums.terms(parts)[0].sum(axis=(1, 2, 3, 4))).reshape(samples, 1, 1)
    share, errors = np.empty_like(total), np.empty((samples, 1, y * x * channels), sums.dtype)
    once, each = share_program(), error_program()
    tables = {name.name: fixed_table(name, cfg.format) for name in once.tables}
    subnormals = cfg.multiplier_subnormals
    fault = run_program(once, sums, subnormals, numbers | tables, total, share)
    arrays = (np.ascontiguousarray(array).reshape(errors.shape) for array in (
        parts, np.broadcast_to(share, errors.shape), target.astype(np.uint8)))  # fmt: skip
    fault = run_program(each, sums, subnormals, numbers, *arrays, errors) | fault
    errors = errors.reshape(samples, y, x, 1, channels)
    return np.broadcast_to(errors, spikes.shape), fault.reshape(samples, -1, channels).any(axis=1)
