"""Optimisers as vector programs: from the gradient g and what is kept of a parameter w to its new values.

Kept are v, a momentum, and of Adam r, the mean of squared gradients. An optimiser is added by a program here; the
numbers that its names stand for come from :meth:`trident.snn.train_settings.TrainSettings.numbers`.
"""

from functools import cache

from trident.hw.isa.vector import Constant, Input, Interpolate, Table, Value, where
from trident.hw.isa.vector_program import Program

KEPT = {"v": "momentum", "r": "squares"}
"""What is kept of every parameter: names in programs, and of memories."""
G, W, V, R = map(Input, "gwvr")
RATE, SCALE = Constant("minus_rate"), Constant("scale")  # a step is minus_rate * 2**scale
PRUNE = Constant("prune")  # what a weight is moved towards 0 by
SQRT = Table("sqrt", "√x", lambda library, x, _: library.sqrt(x))
RECIPROCAL = Table("reciprocal", "1 / x", lambda library, x, _: 1 / x)


def _sgd(nesterov: bool, decay: bool) -> Program:
    g: Value = Constant("decay") * W + G if decay else G
    v = Constant("momentum") * V + g
    step = Constant("momentum") * v + g if nesterov else v
    return _program("nesterov" if nesterov else "sgd", decay, v, (RATE * step).times_power(SCALE) + W)


def _adam(decoupled: bool, decay: bool) -> Program:
    g: Value = Constant("decay") * W + G if decay and not decoupled else G
    shrink = Constant("shrink")
    v = Constant("keep") * V + (Constant("gain") * g).times_power(shrink)
    # Both factors have the range of a mean gradient, so the product overflows only where the square does
    squared = ((Constant("gain_squares") * g).times_power(shrink) * g).times_power(shrink)
    r = Constant("keep_squares") * R + squared
    root = Interpolate(SQRT, r) + Constant("epsilon")
    step = (RATE * (Interpolate(RECIPROCAL, root) * v)).times_power(SCALE)
    kept = Constant("decay") * W if decay and decoupled else W
    return _program("adamw" if decoupled else "adam", decay, v, step + kept, r)


def _program(name: str, decay: bool, v: Value, w: Value, r: Value | None = None) -> Program:
    kept = {"v": v} if r is None else {"v": v, "r": r}
    return Program(name + "-decay" * decay, ("g", *kept, "w"), kept | {"w": w})


def _pruned(program: Program) -> Program:
    """With a soft threshold at the end: the proximal step of ``prune * |w|``."""
    w = program.outputs["w"]
    assert isinstance(w, Value)
    beyond = abs(w) > PRUNE
    # The weight goes through the multiplier, since ``prune`` may be subnormal, which that may flush
    pruned = where(beyond, w, 0) + where(beyond, where(w > PRUNE, -PRUNE, PRUNE), 0)
    return Program(f"{program.name}-prune", program.inputs, program.outputs | {"w": pruned})


def prunes(program: Program) -> bool:
    """Whether an optimiser's program moves weights towards 0."""
    return PRUNE.name in program.constants


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
OPTIMISERS |= {f"{name}-prune": lambda make=make: _pruned(make()) for name, make in OPTIMISERS.items()}
"""By name; -decay: a share of the weight is added to the gradient or, of adamw, taken from the weight by itself;
-prune, of each of them: then weights are moved towards 0."""
