"""Golden softmax: what hw/units/softmax.py computes."""

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.losses import NUMBERS, READOUT_LOSSES, loss_programs
from trident.sim.golden.constants import fixed_table
from trident.sim.golden.format import to_values
from trident.sim.golden.loss import tables_of
from trident.sim.golden.sums import Sums
from trident.sim.golden.vector import run_program


def softmax_errors(
    outputs: np.ndarray, labels: np.ndarray, table: np.ndarray, cfg: CoreConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Errors at outputs (N, classes), spike counts or values of the format, for labels (N,): values of the format, and
    where there is a fault. ``table``: see :func:`loss_table`."""
    sums, own = Sums(cfg.format, cfg.loss_fixed), tables_of(labels, table)
    values = to_values(table, cfg.format).astype(sums.dtype)
    errors, fault = np.empty(outputs.shape, sums.dtype), np.empty(outputs.shape, bool)
    for number in np.unique(own):
        part = own == number
        errors[part], fault[part] = _errors(outputs[part], labels[part], values[number], cfg, sums)
    return errors, fault


def _errors(
    outputs: np.ndarray, labels: np.ndarray, values: np.ndarray, cfg: CoreConfig, sums: Sums
) -> tuple[np.ndarray, np.ndarray]:
    """Of samples that have the same table, whose values these are."""
    numbers = dict(zip(NUMBERS, values[1], strict=False))
    z = (outputs if cfg.loss in READOUT_LOSSES else values[0][outputs]).astype(sums.dtype)[:, None]
    soft = cfg.soft_targets > 0
    part, once, each = loss_programs(soft)
    numbers |= {own.name: fixed_table(own, cfg.format) for program in (part, once) for own in program.tables}

    def run(program, *arrays):
        result = np.empty(arrays[0].shape, sums.dtype)
        arrays = map(np.ascontiguousarray, arrays)
        fault = run_program(program, sums, cfg.multiplier_subnormals, numbers, *arrays, result)
        return result, fault

    most = np.broadcast_to(z.max(axis=2, keepdims=True), z.shape)
    x, fault = run(part, z, most)
    total = sums.round(sums.terms(x)[0].sum(axis=2, keepdims=True))
    share, wrong = run(once, total)
    if soft:
        wanted = np.broadcast_to(values[1][len(NUMBERS) :][: z.shape[2]], z.shape)
    else:
        wanted = (np.arange(z.shape[2]) == np.reshape(labels, (-1, 1, 1))).astype(np.uint8)
    errors, wrongly = run(each, z, most, np.broadcast_to(share, z.shape), wanted)
    return errors[:, 0], fault | wrong | wrongly
