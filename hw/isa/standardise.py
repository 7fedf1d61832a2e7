"""Scaled weight standardisation as passes of vector programs, within the update of a layer's weights.

A channel's n weights w, n its fan-in, are what the optimiser changes. What the engines see is
``z = (w - mean) / sqrt(n * variance + floor)``, with the variance of n - 1 degrees of freedom (Qiao et al. 2019; Brock
et al. 2021). Sums are divided by 2**k, k the whole part of log2(n), before they are rounded, so that a sum of gradients
fits where each of them does; factors that are near to 1 make up for the rest. Squares and products are multiplied by
powers of two on their way into sums, as they would otherwise be subnormal.
"""

from functools import cache

from trident.hw.isa.optimisers import RECIPROCAL, SQRT
from trident.hw.isa.passes import Pass
from trident.hw.isa.vector import ONE, Constant, Input, Interpolate, Value, replaced
from trident.hw.isa.vector_program import Program

RAW = "raw"
"""The memory of the weights w of standardised layers; z are in that of weights."""
POWERS = ("spread", "half", "rest")
"""Constants that are powers of two: k, its half, and what is left of it."""
NUMBERS = {"part": "src", "unbiased": "aux", "floor": "dst"}
"""The other constants, 2**k / n, n / (n - 1) and what is added to a variance, with their fields of the job."""
_W, _Z, _G, _TOTAL = map(Input, ("w", "z", "g", "total"))
_MEAN, _INVERSE, _SHIFT, _SLOPE = map(Input, ("mean", "inverse", "shift", "slope"))


def _raw_gradient() -> Value:
    """The gradient at w, from that at z."""
    along = (_Z * _SLOPE).times_power(Constant("rest"))
    return _INVERSE * (-along + (_G - _SHIFT))


@cache
def gradient_program() -> Program:
    """From the gradient at z, which becomes that at w."""
    return Program("gradient of raw weights", ("g", "z", "inverse", "shift", "slope"), {"g": _raw_gradient()})


def _mean() -> Pass:
    mean = Program("mean", ("total",), {"mean": _TOTAL * Constant("part")})
    return Pass(Program("sum of weights", ("w",), {"term": _W * ONE}), mean)


def _spread() -> Pass:
    off = _W - _MEAN
    squares = Program("sum of squares", ("w", "mean"), {"term": (off * off).times_power(Constant("spread"))})
    root = Interpolate(SQRT, _TOTAL * Constant("unbiased") + Constant("floor"))
    return Pass(squares, Program("inverse", ("total",), {"inverse": Interpolate(RECIPROCAL, root)}))


@cache
def weight_passes() -> tuple[Pass, ...]:
    """From w to z."""
    scaled = Program("standardised weights", ("w", "mean", "inverse"), {"z": (_W - _MEAN) * _INVERSE})
    return _mean(), _spread(), Pass(scaled)


@cache
def gradient_passes() -> tuple[Pass, ...]:
    """What the gradient at w needs to be known of a channel, behind the first two of :func:`weight_passes`."""
    shift = Program("shift", ("total",), {"shift": _TOTAL * Constant("part")})
    slope = Program("slope", ("total",), {"slope": _TOTAL * Constant("unbiased")})
    products = (_G * _Z).times_power(Constant("half"))
    return (
        Pass(Program("sum of gradients", ("g",), {"term": _G * ONE}), shift),
        Pass(Program("sum of products", ("g", "z"), {"term": products}), slope),
    )


@cache
def standardised(optimiser: Program) -> Program:
    """The optimiser's program for standardised weights: its gradient is that at w."""
    inputs = (*optimiser.inputs, *(name for name in gradient_program().inputs if name != "g"))
    changed = replaced(optimiser.outputs, {"g": _raw_gradient()})
    return Program(f"{optimiser.name}, of standardised weights", inputs, changed)


@cache
def update_passes(optimiser: Program) -> tuple[Pass, ...]:
    """An update: the inverse that z was made with, the gradient's sums, the step, and the new z."""
    mean, spread, scaled = weight_passes()
    return mean, spread, *gradient_passes(), Pass(standardised(optimiser)), mean, spread, scaled


def standard_numbers(rows: int, epsilon: float) -> dict[str, float]:
    """The numbers of the programs by name, for a fan-in of so many rows; whole ones are powers of two."""
    power = rows.bit_length() - 1
    return {
        "spread": power, "half": power // 2, "rest": power - power // 2,
        "part": 2.0**power / rows, "unbiased": rows / (rows - 1), "floor": epsilon,
    }  # fmt: skip
