"""The numbers that a core is given, rounded to its format once, for hardware and golden alike."""

from dataclasses import dataclass
from functools import partial
from math import frexp
from typing import Any

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.microcode import SCALE_BITS, number_fields
from trident.sim.golden.format import to_bits, to_values, value_dtype
from trident.sim.golden.tables import table_values
from trident.snn.settings import NeuronSettings


def _bits(value: float, fmt: FloatFormat) -> int:
    return int(to_bits(value, fmt))


def _value(bits: int, fmt: FloatFormat) -> np.floating:
    return value_dtype(fmt)(to_values(bits, fmt))


@dataclass(frozen=True)
class NeuronConstants:
    """Constants of the neuron units as raw bits.

    forward, backward: by field of the job. functions: lines of the function table, slope below base; none where no
    program reads it.
    """

    forward: dict[str, int]
    backward: dict[str, int]
    functions: tuple[int, ...] = ()

    @classmethod
    def of(cls, neuron: NeuronSettings, fmt: FloatFormat) -> "NeuronConstants":
        """Round the settings. Raises TridentError for what rounding makes useless: a threshold of zero or infinity, a
        window that nothing lies within, a slope that is infinite."""
        bits = {name: _bits(value, fmt) for name, value in neuron.constants.items()}
        if not 0 < bits["threshold"] < fmt.inf or bits["high"] >= fmt.inf:
            raise TridentError(
                f"threshold {neuron.threshold} with window {neuron.window} is outside what a float of "
                f"{fmt.exp} exponent and {fmt.frac} fraction bits holds"
            )
        useless = bits["slope"] & fmt.inf == fmt.inf and neuron.surrogate == "triangle"
        if bits["low"] == bits["high"] or useless:
            raise TridentError(
                f"a window of {neuron.window} around the threshold {neuron.threshold} is too narrow for a float of "
                f"{fmt.exp} exponent and {fmt.frac} fraction bits: nothing lies within"
            )
        values = neuron_values(neuron, fmt)
        functions: list[int] = []
        for program in neuron.programs:
            for table in program.tables:
                slopes, bases = to_bits(values[table.name], fmt).T.tolist()
                functions += [slope | base << fmt.width for slope, base in zip(slopes, bases, strict=True)]
                bits[f"{table.name}_scale"] = values[f"{table.name}_scale"] % (1 << SCALE_BITS)
        fields = (
            {field: bits[name] for name, field in number_fields(program).items()} for program in neuron.programs
        )
        return cls(*fields, tuple(functions))


def neuron_values(neuron: NeuronSettings, fmt: FloatFormat) -> dict[str, Any]:
    """The numbers and tables of a neuron's golden programs by name, rounded."""
    values: dict[str, Any] = {name: _value(_bits(value, fmt), fmt) for name, value in neuron.constants.items()}
    for table in (table for program in neuron.programs for table in program.tables):
        function = partial(table.function, np, constants=neuron.constants)
        values[table.name], values[f"{table.name}_scale"] = table_values(function, fmt)
    return values


@dataclass(frozen=True)
class UpdateConstants:
    """Constants of one update: momentum and negated rate as raw bits, the rate's power of two, and the samples whose
    gradients it applies, which bound the terms of an exact sum."""

    momentum: int = 0
    minus_rate: int = 0
    scale: int = 0
    samples: int = 1

    @classmethod
    def of(cls, momentum: float, rate: float, samples: int, fmt: FloatFormat) -> "UpdateConstants":
        """``rate`` is what multiplies the scaled gradient, summed over ``samples``: learning rate / (loss scale *
        samples).

        It is split into a significand in [1, 2) and a power of two, so that it is never subnormal. Raises TridentError
        if the power does not fit the 8 bits it has, and for a momentum below 1 that rounds to 1.
        """
        significand, exponent = frexp(rate)
        if not -128 <= exponent - 1 <= 127:
            raise TridentError(f"a rate of {rate} is outside what the update unit can multiply by, 2**-128 to 2**127")
        if momentum < 1 and _bits(momentum, fmt) == _bits(1, fmt):
            raise TridentError(f"a momentum of {momentum} rounds to 1, so that no gradient would ever be forgotten")
        return cls(_bits(momentum, fmt), _bits(-2 * significand, fmt), exponent - 1, samples)

    def values(self, fmt: FloatFormat) -> dict[str, np.floating | int]:
        """Their values by name, for golden programs."""
        return {name: _value(getattr(self, name), fmt) for name in ("momentum", "minus_rate")} | {"scale": self.scale}
