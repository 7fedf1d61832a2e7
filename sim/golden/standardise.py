"""Golden standardised weights: what hw/units/standardise.py computes, bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.capabilities import Capability, require
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.passes import Pass
from trident.hw.isa.standardise import NUMBERS, standard_numbers, update_passes, weight_passes
from trident.sim.golden.constants import fixed_table
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.sums import Sums
from trident.sim.golden.vector import run_program
from trident.snn.network.layers import Layer


@dataclass(frozen=True)
class StandardConstants:
    """Constants of a layer's standardised weights: ``bits``, by name the raw bits of floats; ``power``: k of
    :mod:`hw.isa.standardise`; ``limit``: the exponent code from which on a number is too large for a sum."""

    bits: dict[str, int]
    power: int
    limit: int

    @classmethod
    def of(cls, layer: Layer, cfg: CoreConfig) -> "StandardConstants":
        """Those of a layer. Raises :class:`TridentError`, naming the layer's node, for a core that has none, for an
        epsilon that the format does not hold, and for a fan-in of which a sum holds no number of 1."""
        require(cfg.capabilities, repr(layer.node), (Capability.STANDARDISE,))
        fmt = cfg.format
        assert layer.epsilon is not None
        numbers = standard_numbers(layer.fan_in, layer.epsilon)
        bits = {name: int(to_bits(numbers[name], fmt)) for name in NUMBERS}
        if not fmt.min_normal <= bits["floor"] < fmt.inf:
            what = "0" if bits["floor"] < fmt.min_normal else "infinity"
            raise TridentError(
                f"{layer.node!r}: an epsilon of {layer.epsilon:g} is {what} to a float of {cfg.exp} exponent and "
                f"{cfg.frac} fraction bits, whose least normal number is {float(to_values(fmt.min_normal, fmt)):.3g}"
            )
        limit = cfg.pass_fixed.limit(fmt, layer.fan_in, room=1)
        if limit <= fmt.bias:
            raise TridentError(
                f"{layer.node!r}: a sum over {layer.fan_in:,} standardised weights has no room for one of 1: raise "
                f"accumulator_place, which is {cfg.accumulator_place}"
            )
        return cls(bits, int(numbers["spread"]), limit)


class Standardiser:
    """The standardised weights z of a layer, and their raw weights w: arrays (taps, in, out) of values of the format.

    Raises what :meth:`StandardConstants.of` raises.
    """

    def __init__(self, layer: Layer, cfg: CoreConfig):
        self.cfg = cfg
        self.sums, self._steps = Sums(cfg.format, cfg.pass_fixed), Sums(cfg.format, cfg.fixed)  # of rows, and of steps
        self.constants = StandardConstants.of(layer, cfg)
        numbers = standard_numbers(layer.fan_in, 1.0)
        values = {
            name: self.sums.dtype(to_values(bits, cfg.format)) for name, bits in self.constants.bits.items()
        }  # fmt: skip
        self._numbers: dict[str, Any] = numbers | values

    def weights(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """z of w, and in which channels there is a fault, bool (out,)."""
        rows = {"w": _rows(raw)}
        fault = self._run(weight_passes(), rows, {})
        return rows["z"].reshape(raw.shape), fault

    def update(
        self, raw: np.ndarray, weights: np.ndarray, kept: Mapping[str, np.ndarray], gradients: np.ndarray,
        numbers: Mapping[str, Any],
    ) -> np.ndarray:  # fmt: skip
        """An update of w, of z, and of what is ``kept``, by its name in the optimiser's program, in place.

        gradients: at z, values of the format; numbers: those of the optimiser's program, and tables, by name. Returns
        as :meth:`weights`.
        """
        arrays = {"w": raw, "z": weights, **kept}
        rows = {name: _rows(values) for name, values in arrays.items()} | {"g": _rows(gradients)}
        fault = self._run(update_passes(self.cfg.update_program), rows, numbers)
        for name, values in arrays.items():
            values[:] = rows[name].reshape(values.shape)
        return fault

    def _run(self, passes: tuple[Pass, ...], rows: dict[str, np.ndarray], numbers: Mapping[str, Any]) -> np.ndarray:
        """Passes over rows (1, n, out) by name, which new ones take the place of; returns the channels' faults."""
        shape = next(iter(rows.values())).shape
        channels: dict[str, np.ndarray] = {}
        fault = np.zeros(shape[2], bool)
        for step in passes:
            found, wrong = self._program(step.rows, rows | channels, numbers, shape)
            fault |= wrong
            if not step.then:
                rows |= found
                continue
            terms, large = self.sums.terms(found["term"][0], shape[1])
            total = self.sums.round(terms.sum(axis=0) * 2.0**-self.constants.power)
            fault |= large.any(axis=0) | ~np.isfinite(total)
            given, wrong = self._program(step.then, {"total": total[None, None]}, numbers, (1, 1, shape[2]))
            fault |= wrong
            channels |= given
        return fault

    def _program(self, program, given: Mapping[str, np.ndarray], numbers: Mapping[str, Any], shape):
        """The outputs of a program for rows of a shape, and the faults of the channels."""
        tables = {table.name: fixed_table(table, self.cfg.format) for table in program.tables}
        constants = {**numbers, **self._numbers, **tables}
        inputs = [np.ascontiguousarray(np.broadcast_to(given[name], shape)) for name in program.inputs]
        outputs = {name: np.empty(shape, self.sums.dtype) for name in program.outputs}
        fault = run_program(program, self._steps, self.cfg.multiplier_subnormals, constants, *inputs, *outputs.values())
        return outputs, fault[0]


def _rows(values: np.ndarray) -> np.ndarray:
    """(taps, in, out) as (1, taps * in, out)."""
    return values.reshape(1, -1, values.shape[-1])
