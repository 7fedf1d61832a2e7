"""Golden softmax: what hw/units/softmax.py computes."""

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.losses import NUMBERS, error_program, share_program
from trident.sim.golden.constants import fixed_table
from trident.sim.golden.format import to_values
from trident.sim.golden.loss import targets
from trident.sim.golden.sums import Sums
from trident.sim.golden.vector import run_program


def softmax_errors(
    spikes: np.ndarray, labels: np.ndarray, table: np.ndarray, cfg: CoreConfig
) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`loss_errors`, of a softmax of all classes, but values of the format; and where there is a fault,
    (N, channel). ``table``: see :func:`loss_table`."""
    counts, label = targets(spikes, labels)
    samples, channels = len(spikes), spikes.shape[-1]
    sums = Sums(cfg.format, cfg.loss_fixed)
    values = to_values(table, cfg.format).astype(sums.dtype)
    numbers = dict(zip(NUMBERS, values[1], strict=False))
    parts = values[0][counts.max(axis=(1, 2, 4), keepdims=True) - counts]
    total = sums.round(sums.terms(parts)[0].sum(axis=(1, 2, 3, 4))).reshape(samples, 1, 1)
    share, errors = np.empty_like(total), np.empty((samples, 1, counts[0].size), sums.dtype)
    once, each = share_program(), error_program()
    tables = {function.name: fixed_table(function, cfg.format) for function in once.tables}
    fault = run_program(once, sums, cfg.multiplier_subnormals, numbers | tables, total, share)
    arrays = (np.ascontiguousarray(array).reshape(errors.shape) for array in (
        parts, np.broadcast_to(share, errors.shape), label.astype(np.uint8)))  # fmt: skip
    fault = run_program(each, sums, cfg.multiplier_subnormals, numbers, *arrays, errors) | fault
    everywhere = np.broadcast_to(errors.reshape(counts.shape), spikes.shape)
    return everywhere, fault.reshape(samples, -1, channels).any(axis=1)
