"""Batch norm as passes of vector programs over the sums of a layer's neurons, and over their errors.

x are a channel's n sums, of all samples of a minibatch, pixels and timesteps, as the multi-step layers of SpikingJelly
take them (Ioffe and Szegedy, arXiv 1502.03167; without running statistics per timestep). Forward,
``z = (x - mean) / sqrt(variance + floor)`` and ``y = gain * z + offset``, which neurons take; the running mean and
variance are kept for evaluation. Backward, the error at x follows from that at y.

A norm may be frozen in training, too: then mean and variance are the running ones, which stay, and the error at x is
``gain / sqrt(variance + floor)`` times that at y, which the same passes make with a ``part`` of 0.

Where x is the same at all timesteps, as of real values that are, only the sum over time of the error at x is wanted: it
is what the same passes make of the sum over time of the error at y, with z and n of one timestep.

Sums are exact; they are divided by 2**k, k the whole part of log2(n), before they are rounded, and ``part`` is the rest
of the division by n.
"""

from functools import cache

from trident.hw.isa.optimisers import RECIPROCAL, SQRT
from trident.hw.isa.passes import Pass
from trident.hw.isa.vector import ONE, Constant, Input, Interpolate, Value
from trident.hw.isa.vector_program import Program

NUMBERS = {"part": "leak", "floor": "threshold", "keep": "low", "momentum": "high", "share": "slope"}
"""Constants of the programs, with their fields of the job: 2**k / n, what is added to a variance, and the shares of a
running mean or variance that stays, of a new mean, and of a new variance, which is that of n - 1 degrees of freedom."""
POWER = "power"
"""The constant k."""
PARAMETERS = ("gain", "offset")
"""What is learned of every channel. Beside them, in the memory :data:`~trident.hw.isa.standardise.RAW`, are the running
variance and the running mean."""
_X, _Z, _G, _TOTAL = map(Input, ("x", "z", "g", "total"))
_MEAN, _INVERSE, _SHIFT, _SLOPE, _FACTOR = map(Input, ("mean", "inverse", "shift", "slope", "factor"))
_GAIN, _OFFSET, _RUNNING_MEAN, _RUNNING_VARIANCE = map(Input, ("gain", "offset", "running_mean", "running_variance"))
_PART, _FLOOR, _KEEP = map(Constant, ("part", "floor", "keep"))


def _inverse(variance: Value) -> Value:
    return Interpolate(RECIPROCAL, Interpolate(SQRT, variance + _FLOOR))


def _mean() -> Pass:
    mean = _TOTAL * _PART
    running = mean * Constant("momentum") + _KEEP * _RUNNING_MEAN
    then = Program("mean", ("total", "running_mean"), {"mean": mean, "running_mean": running})
    return Pass(Program("sum", ("x",), {"term": _X * ONE}), then)


def _spread() -> Pass:
    off = _X - _MEAN
    variance = _TOTAL * _PART
    running = variance * Constant("share") + _KEEP * _RUNNING_VARIANCE
    outputs = {"inverse": _inverse(variance), "running_variance": running}
    then = Program("variance", ("total", "running_variance"), outputs)
    return Pass(Program("sum of squares", ("x", "mean"), {"term": off * off}), then)


def _scaled() -> Pass:
    z = (_X - _MEAN) * _INVERSE
    inputs = ("x", "mean", "inverse", "gain", "offset")
    return Pass(Program("normalised", inputs, {"z": z, "y": z * _GAIN + _OFFSET}))


def _frozen() -> Pass:
    outputs = {"mean": _RUNNING_MEAN * ONE, "inverse": _inverse(_RUNNING_VARIANCE)}
    return Pass(None, Program("running statistics", ("running_mean", "running_variance"), outputs))


def _shift() -> Pass:
    outputs = {"shift": _TOTAL * _PART, "offset_gradient": (_TOTAL * ONE).times_power(Constant(POWER))}
    return Pass(Program("sum of errors", ("g",), {"term": _G * ONE}), Program("shift", ("total",), outputs))


def _slope() -> Pass:
    outputs = {
        "slope": _TOTAL * _PART, "factor": _GAIN * _INVERSE,
        "gain_gradient": (_TOTAL * ONE).times_power(Constant(POWER)),
    }  # fmt: skip
    then = Program("slope", ("total", "gain", "inverse"), outputs)
    return Pass(Program("sum of products", ("g", "z"), {"term": _G * _Z}), then)


def _errors() -> Pass:
    along = _Z * _SLOPE
    inputs = ("g", "z", "shift", "slope", "factor")
    return Pass(Program("errors at the sums", inputs, {"g": _FACTOR * (-along + (_G - _SHIFT))}))


@cache
def forward_passes() -> tuple[Pass, ...]:
    """From x to z and y, in training."""
    return _mean(), _spread(), _scaled_pass()


@cache
def frozen_passes() -> tuple[Pass, ...]:
    """From x to z and y, with the running statistics."""
    return _frozen(), _scaled_pass()


@cache
def backward_passes() -> tuple[Pass, ...]:
    """From the errors at y, and z, to the errors at x."""
    return _shift(), _slope(), _errors()


@cache
def norm_passes() -> tuple[Pass, ...]:
    """All passes, each once: the ways forward, frozen and backward are parts of them, in their order."""
    return tuple(dict.fromkeys((*forward_passes()[:2], *frozen_passes(), *backward_passes())))


@cache
def _scaled_pass() -> Pass:
    return _scaled()


def norm_numbers(values: int, epsilon: float, momentum: float, frozen: bool = False) -> dict[str, float]:
    """The numbers of the programs by name, for so many values of a channel; :data:`POWER` is a whole one. ``frozen``:
    mean and variance are constants, so errors have no part of sums."""
    power = values.bit_length() - 1
    return {
        POWER: power, "part": 0.0 if frozen else 2.0**power / values, "floor": epsilon,
        "keep": 1 - momentum, "momentum": momentum, "share": momentum * values / max(values - 1, 1),
    }  # fmt: skip
