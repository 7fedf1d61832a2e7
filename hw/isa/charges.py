"""How neurons charge: from an input and what the timestep before has left to a potential, and back."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from trident.hw.isa.vector import Constant, Input, Interpolate, Node, State, Table, Value, positive, where
from trident.hw.isa.vector_program import Program

LEAK, GAIN, ZERO, ONE = map(Constant, ("leak", "gain", "zero", "one"))
OWN = Input("leak")
"""The leak of a neuron that learns it, or what it is learned as, see :func:`leak_program`."""
DECAYING = "-decay-input"
"""Ends the name of a charge that multiplies its input by 1 - leak."""


@dataclass(frozen=True)
class Charge:
    """How a potential comes from an input.

    forward: (x, v) to the potential u and the neuron's other states; v is what the timestep before has left.
    backward: from the error that u has by itself and that at what was left of the u before (both at u), to the error at
    u, that at x, and other states.
    gradient: where the leak is learned, from the error d at u, that at the next potential, this potential u and what it
    leaves, v, to a term of the leak's gradient; these are summed over time.
    leak: where it is learned, from the parameter of that name to what the programs read, see :func:`leak_program`.
    """

    forward: Callable[[Value, Value], tuple[Value, dict[str, Node]]]
    backward: Callable[[Value, Value], tuple[Value, Value, dict[str, Node]]]
    gradient: Callable[[Value, Value, Value, Value], Value] | None = None
    leak: Callable[[Value], Value] | None = None


def _lif_backward(own: Value, left: Value):
    d = LEAK * left + own
    return d, d, {}


def _decaying_backward(own: Value, left: Value):
    d = LEAK * left + own
    return d, GAIN * d, {}


def _if_backward(own: Value, left: Value):
    d = left + own
    return d, d, {}


def _synaptic_forward(x: Value, v: Value):
    current = Constant("synapse") * State("i") + x
    return LEAK * v + current, {"i": current}


def _synaptic_backward(own: Value, left: Value):
    d = LEAK * left + own
    at_current = Constant("synapse") * State("k") + d
    return d, at_current, {"k": at_current}


def _sigmoid(w: Value) -> Value:
    """1 - σ(w), of a table of σ for numbers of at least 0."""
    share = Interpolate(SIGMOID, abs(w))
    return where(w > ZERO, 1 - share, share)


SIGMOID = Table("sigmoid", "1 / (1 + exp(−x))", lambda library, x, _: 1 / (1 + library.exp(-x)))


def _plif_backward(own: Value, left: Value):
    d = OWN * left + own
    return d, d, {}


def _plif_gradient(d: Value, after: Value, u: Value, v: Value) -> Value:
    return (OWN * OWN - OWN) * (after * v)


def _plif_decaying_backward(own: Value, left: Value):
    d = OWN * left + own
    return d, -(OWN * d) + d, {}


def _plif_decaying_gradient(d: Value, after: Value, u: Value, v: Value) -> Value:
    return OWN * (d * u + -(after * v))


def _clamped() -> Value:
    return where(OWN > ONE, 1, positive(OWN))


def _leaky_backward(own: Value, left: Value):
    d = _clamped() * left + own
    return d, d, {}


def _leaky_gradient(d: Value, after: Value, u: Value, v: Value) -> Value:
    return where((OWN < ZERO) | (OWN > ONE), 0, after * v)


CHARGES = {
    "lif": Charge(lambda x, v: (LEAK * v + x, {}), _lif_backward),
    "lif-decay-input": Charge(lambda x, v: (LEAK * v + GAIN * x, {}), _decaying_backward),
    "if": Charge(lambda x, v: (v + x, {}), _if_backward),
    "synaptic": Charge(_synaptic_forward, _synaptic_backward),
    "plif": Charge(lambda x, v: (OWN * v + x, {}), _plif_backward, _plif_gradient, _sigmoid),
    "plif-decay-input": Charge(
        lambda x, v: (OWN * (v - x) + x, {}), _plif_decaying_backward, _plif_decaying_gradient, _sigmoid
    ),
    "leaky": Charge(lambda x, v: (_clamped() * v + x, {}), _leaky_backward, _leaky_gradient, lambda w: w * 1),
}  # fmt: skip
"""By name; ``gain`` of a decaying input is 1 - leak, ``synapse`` what a synaptic current keeps from step to step. The
leaks of ``plif`` (Fang et al., arXiv 2007.05785) and ``leaky`` are learned: that of plif is 1 - σ(w), the same for all
neurons of a layer, that of leaky is w within 0 to 1, one for every channel."""
LEARNED = tuple(name for name, charge in CHARGES.items() if charge.gradient)
LEARNING = ("plif", "leaky")
"""The neurons that have them."""
SHARED = ("plif",)
"""Those whose leak all neurons of a layer share."""


def leak_program(charge: str) -> Program:
    """From the parameters w of neurons, a lane each, to what their programs read as ``leak`` or, where they learn no
    leak, as ``threshold``: w itself, as of leaky."""
    return _leak_program(charge.removesuffix(DECAYING) if charge in LEARNED else "leaky")


@cache
def _leak_program(charge: str) -> Program:
    make = CHARGES[charge].leak
    assert make is not None
    return Program(f"leak of {charge}", ("w",), {"leak": make(Input("w"))})
