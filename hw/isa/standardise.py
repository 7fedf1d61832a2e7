"""Scaled weight standardisation as passes of vector programs, within the update of a layer's weights.

A channel's n weights w, n its fan-in, are what the optimiser changes. What the engines see is
``z = (w - mean) / sqrt(n * variance + floor)``, with the variance of n - 1 degrees of freedom (Qiao et al. 2019; Brock
et al. 2021). Sums are divided by 2**k, k the whole part of log2(n), before they are rounded, so that a sum of gradients
fits where each of them does; factors that are near to 1 make up for the rest. Squares and products are multiplied by
powers of two on their way into sums, as they would otherwise be subnormal.

Where the optimiser prunes, a weight w of 0 is one of z, too, as if the others alone were let through; mean and variance
are those of all n.
"""

from functools import cache

from trident.hw.isa.optimisers import RECIPROCAL, SQRT, prunes
from trident.hw.isa.passes import Pass
from trident.hw.isa.vector import ONE, Constant, Input, Interpolate, Value, replaced, where
from trident.hw.isa.vector_program import Program

RAW = "raw"
"""The memory of the weights w of standardised layers; z are in that of weights."""
POWERS = ("spread", "half", "rest")
"""Constants that are powers of two: k, its half, and what is left of it."""
NUMBERS = {"part": "src", "unbiased": "aux", "floor": "dst"}
"""The other constants, 2**k / n, n / (n - 1) and what is added to a variance, with their fields of the job."""
_W, _Z, _G, _TOTAL = map(Input, ("w", "z", "g", "total"))
_MEAN, _INVERSE, _SHIFT, _SLOPE = map(Input, ("mean", "inverse", "shift", "slope"))
_LEFT = abs(_W) > Constant("zero")  # the weight has not been pruned


def _let_through(value: Value, pruned: bool) -> Value:
    return where(_LEFT, value, 0) if pruned else value


def _raw_gradient(pruned: bool) -> Value:
    """The gradient at w, from that at z."""
    z = where(_LEFT, _Z, -(_MEAN * _INVERSE)) if pruned else _Z
    along = (z * _SLOPE).times_power(Constant("rest"))
    return _INVERSE * (-along + (_let_through(_G, pruned) - _SHIFT))


@cache
def gradient_program(pruned: bool = False) -> Program:
    """From the gradient at z, which becomes that at w; ``pruned``: weights of 0 are."""
    inputs = ("g", "z", *(("w", "mean") if pruned else ()), "inverse", "shift", "slope")
    return Program("gradient of raw weights", inputs, {"g": _raw_gradient(pruned)})


def _mean() -> Pass:
    mean = Program("mean", ("total",), {"mean": _TOTAL * Constant("part")})
    return Pass(Program("sum of weights", ("w",), {"term": _W * ONE}), mean)


def _spread() -> Pass:
    off = _W - _MEAN
    squares = Program("sum of squares", ("w", "mean"), {"term": (off * off).times_power(Constant("spread"))})
    root = Interpolate(SQRT, _TOTAL * Constant("unbiased") + Constant("floor"))
    return Pass(squares, Program("inverse", ("total",), {"inverse": Interpolate(RECIPROCAL, root)}))


@cache
def weight_passes(pruned: bool = False) -> tuple[Pass, ...]:
    """From w to z."""
    z = _let_through((_W - _MEAN) * _INVERSE, pruned)
    scaled = Program("standardised weights", ("w", "mean", "inverse"), {"z": z})
    return _mean(), _spread(), Pass(scaled)


@cache
def gradient_passes(pruned: bool = False) -> tuple[Pass, ...]:
    """What the gradient at w needs to be known of a channel, behind the first two of :func:`weight_passes`."""
    shift = Program("shift", ("total",), {"shift": _TOTAL * Constant("part")})
    slope = Program("slope", ("total",), {"slope": _TOTAL * Constant("unbiased")})
    products = (_G * _Z).times_power(Constant("half"))
    gradients = Program("sum of gradients", ("g", *("w" * pruned)), {"term": _let_through(_G, pruned) * ONE})
    return (
        Pass(gradients, shift),
        Pass(Program("sum of products", ("g", "z"), {"term": products}), slope),
    )


@cache
def standardised(optimiser: Program) -> Program:
    """The optimiser's program for standardised weights: its gradient is that at w."""
    pruned = prunes(optimiser)
    inputs = tuple(dict.fromkeys((*optimiser.inputs, *gradient_program(pruned).inputs)))
    changed = replaced(optimiser.outputs, {"g": _raw_gradient(pruned)})
    return Program(f"{optimiser.name}, of standardised weights", inputs, changed)


@cache
def update_passes(optimiser: Program) -> tuple[Pass, ...]:
    """An update: the inverse that z was made with, the gradient's sums, the step, and the new z."""
    pruned = prunes(optimiser)
    mean, spread, scaled = weight_passes(pruned)
    return mean, spread, *gradient_passes(pruned), Pass(standardised(optimiser)), mean, spread, scaled


def standard_numbers(rows: int, epsilon: float) -> dict[str, float]:
    """The numbers of the programs by name, for a fan-in of so many rows; whole ones are powers of two."""
    power = rows.bit_length() - 1
    return {
        "spread": power, "half": power // 2, "rest": power - power // 2,
        "part": 2.0**power / rows, "unbiased": rows / (rows - 1), "floor": epsilon, "zero": 0.0,
    }  # fmt: skip
