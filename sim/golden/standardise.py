"""Golden standardised weights: what hw/units/standardise.py computes, bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.capabilities import Capability, require
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.optimisers import prunes
from trident.hw.isa.standardise import NUMBERS, standard_numbers, update_passes, weight_passes
from trident.sim.golden.constants import check_epsilon
from trident.sim.golden.format import to_bits, to_values, value_dtype
from trident.sim.golden.passes import Passes
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
        check_epsilon(repr(layer.node), layer.epsilon, bits["floor"], cfg)
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
        self.constants = StandardConstants.of(layer, cfg)
        numbers: dict[str, Any] = dict(standard_numbers(layer.fan_in, 1.0))
        dtype = value_dtype(cfg.format)
        numbers |= {name: dtype(to_values(bits, cfg.format)) for name, bits in self.constants.bits.items()}
        self._passes = Passes(cfg, numbers, self.constants.power)

    def weights(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """z of w, and in which channels there is a fault, bool (out,)."""
        rows = {"w": _rows(raw)}
        fault = self._passes.run(weight_passes(prunes(self.cfg.update_program)), rows, {}, {})
        return rows["z"].reshape(raw.shape), fault[0]

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
        fault = self._passes.run(update_passes(self.cfg.update_program), rows, {}, numbers)
        for name, values in arrays.items():
            values[:] = rows[name].reshape(values.shape)
        return fault[0]


def _rows(values: np.ndarray) -> np.ndarray:
    """(taps, in, out) as (1, taps * in, out)."""
    return values.reshape(1, -1, values.shape[-1])
