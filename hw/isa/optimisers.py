"""Optimisers as vector programs: from the gradient g and what is kept of a parameter w to its new values.

Kept are v, a momentum, and of Adam r, the mean of squared gradients. An optimiser is added by a program here; the
numbers that its names stand for come from :meth:`trident.snn.settings.TrainSettings.numbers`.
"""

from functools import cache

from trident.hw.isa.vector import Constant, Input, Interpolate, Table, Value
from trident.hw.isa.vector_program import Program

KEPT = {"v": "momentum", "r": "squares"}
"""What is kept of every parameter: names in programs, and of memories."""
G, W, V, R = map(Input, "gwvr")
RATE, SCALE = Constant("minus_rate"), Constant("scale")  # a step is minus_rate * 2**scale
SQRT = Table("sqrt", "√x", lambda library, x, _: library.sqrt(x))
RECIPROCAL = Table("reciprocal", "1 / x", lambda library, x, _: 1 / x)


def _sgd(nesterov: bool, decay: bool) -> Program:
    g: Value = Constant("decay") * W + G if decay else G
    v = Constant("momentum") * V + g
    step = Constant("momentum") * v + g if nesterov else v
    return _program("nesterov" if nesterov else "sgd", decay, v, (RATE * step).times_power(SCALE) + W)


def _adam(decoupled: bool, decay: bool) -> Program:
    g: Value = Constant("decay") * W + G if decay and not decoupled else G
    v = Constant("keep") * V + (Constant("gain") * g).times_power(Constant("shrink"))
    squared = (Constant("gain_squares") * g).times_power(Constant("shrink_squares")) * g
    r = Constant("keep_squares") * R + squared
    root = Interpolate(SQRT, r) + Constant("epsilon")
    step = (RATE * (Interpolate(RECIPROCAL, root) * v)).times_power(SCALE)
    kept = Constant("decay") * W if decay and decoupled else W
    return _program("adamw" if decoupled else "adam", decay, v, step + kept, r)


def _program(name: str, decay: bool, v: Value, w: Value, r: Value | None = None) -> Program:
    kept = {"v": v} if r is None else {"v": v, "r": r}
    return Program(name + "-decay" * decay, ("g", *kept, "w"), kept | {"w": w})


def kept_names(program: Program) -> tuple[str, ...]:
    """Names in an optimiser's program of what it keeps, in the order of :data:`KEPT`."""
    return tuple(name for name in KEPT if name in program.inputs)


@cache
def optimiser(name: str) -> Program:
    """The program of that name, one of :data:`OPTIMISERS`."""
    return OPTIMISERS[name]()


OPTIMISERS = {
    "sgd": lambda: _sgd(False, False),
    "sgd-decay": lambda: _sgd(False, True),
    "nesterov": lambda: _sgd(True, False),
    "nesterov-decay": lambda: _sgd(True, True),
    "adam": lambda: _adam(False, False),
    "adam-decay": lambda: _adam(False, True),
    "adamw-decay": lambda: _adam(True, True),
}
"""By name; -decay: a share of the weight is added to the gradient or, of adamw, taken from the weight by itself."""
