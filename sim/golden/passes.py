"""Golden passes: what hw/isa/passes.py declares, bit for bit."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.passes import Pass
from trident.sim.golden.constants import fixed_table
from trident.sim.golden.sums import Sums
from trident.sim.golden.vector import run_program


class Passes:
    """Runs passes on arrays of values of the format.

    cfg: the core's. numbers: constants of the programs by name. power: sums are divided by 2**power.
    """

    def __init__(self, cfg: CoreConfig, numbers: Mapping[str, Any], power: int):
        self.cfg, self.power = cfg, power
        self.sums, self._steps = Sums(cfg.format, cfg.pass_fixed), Sums(cfg.format, cfg.fixed)  # of rows, and of steps
        self._numbers = dict(numbers)

    def run(
        self, passes: tuple[Pass, ...], rows: dict[str, np.ndarray], channels: dict[str, np.ndarray],
        numbers: Mapping[str, Any],
    ) -> np.ndarray:  # fmt: skip
        """Run passes over ``rows`` (N, n, out) of N samples, of which sums are taken together, and ``channels``
        (1, 1, out) by name, in which results take the place of what was there; ``numbers``: constants beside the given
        ones. Returns faults of the samples' rows, and of the channels in all samples, bool (N, out)."""
        shape = next(iter(rows.values())).shape
        fault = np.zeros((shape[0], shape[2]), bool)
        for step in passes:
            total = {}
            if step.rows:
                found, wrong = self._program(step.rows, rows | channels, numbers, shape)
                fault |= wrong
                if not step.then:
                    rows |= found
                    continue
                terms, large = self.sums.terms(found["term"], shape[0] * shape[1])
                total["total"] = self.sums.round(terms.sum(axis=(0, 1)) * 2.0**-self.power)[None, None]
                fault |= large.any(axis=1) | ~np.isfinite(total["total"][0, 0])
            assert step.then
            given, wrong = self._program(step.then, channels | total, numbers, (1, 1, shape[2]))
            fault |= wrong
            channels |= given
        return fault

    def _program(self, program, given: Mapping[str, np.ndarray], numbers: Mapping[str, Any], shape):
        """The outputs of a program for rows of a shape, and faults of every sample's channels."""
        tables = {table.name: fixed_table(table, self.cfg.format) for table in program.tables}
        constants = {**numbers, **self._numbers, **tables}
        inputs = [np.ascontiguousarray(np.broadcast_to(given[name], shape)) for name in program.inputs]
        outputs = {name: np.empty(shape, self.sums.dtype) for name in program.outputs}
        fault = run_program(program, self._steps, self.cfg.multiplier_subnormals, constants, *inputs, *outputs.values())
        return outputs, fault
