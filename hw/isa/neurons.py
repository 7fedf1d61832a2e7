"""Neurons as vector programs: how they charge, what is left after a spike, and the surrogate of a spike's derivative.

A neuron is added by a :class:`~trident.hw.isa.charges.Charge`, a :class:`Reset` or a surrogate here; any of one kind
goes with any of the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import pi
from typing import Any

from trident.hw.errors import TridentError
from trident.hw.isa.charges import CHARGES, DECAYING, LEARNED
from trident.hw.isa.vector import (
    NOTHING,
    Bit,
    Constant,
    Input,
    InputBit,
    Interpolate,
    Node,
    State,
    StateBit,
    Table,
    Value,
    positive,
    where,
)
from trident.hw.isa.vector_program import Program

THRESHOLD = Constant("threshold")
U, E = Input("u"), Input("e")  # the stored potential; the error at a neuron's spike
D = State("d")  # the error at the next timestep's potential


@dataclass(frozen=True)
class Reset:
    """What a spike leaves of a potential.

    forward: (u, s, threshold) to v. backward: the error d at the next potential, this potential's u and s, the
    threshold and its surrogate h, to what of it is at u before the leak, and what is added behind it, or None; without
    h the reset is detached: taken for a constant. late: the threshold is subtracted from the next potential, where it
    has leaked. takes: a spike takes the threshold from a potential.
    """

    forward: Callable[[Value, Bit, Value], Value]
    backward: Callable[[Value, Value, Bit, Value, Value | None], tuple[Value, Value | None]]
    late: bool = False
    takes: bool = False


def _hard_backward(d: Value, u: Value, s: Bit, threshold: Value, h: Value | None):
    left = where(s, 0, d)
    return (left if h is None else left - h * u * d), None


def _soft_backward(d: Value, u: Value, s: Bit, threshold: Value, h: Value | None):
    return (d if h is None else d - h * threshold * d), None


def _late_backward(d: Value, u: Value, s: Bit, threshold: Value, h: Value | None):
    return d, None if h is None else -(h * threshold * d)


RESETS = {
    "hard": Reset(lambda u, s, threshold: where(s, 0, u), _hard_backward),
    "soft": Reset(lambda u, s, threshold: u + where(s, -threshold, 0), _soft_backward, takes=True),
    "soft-after-leak": Reset(lambda u, s, threshold: u, _late_backward, late=True, takes=True),
    "none": Reset(lambda u, s, threshold: u, lambda d, u, s, threshold, h: (d, None)),
}
"""By name. A potential that starts again from another value than 0 is one from 0, with as much less of a threshold."""


def _triangle(distance: Value) -> Value:
    return positive(Constant("slope") * distance + 1)


def _smooth(text: str, function: Callable[[Any, Any, float], Any]) -> Callable[[Value], Value]:
    """A surrogate of the distance x from the threshold, a function (library, x, alpha), in a table."""
    table = Table("surrogate", text, lambda library, x, constants: function(library, x, constants["alpha"]))
    return lambda distance: Interpolate(table, distance)


def _sigmoid(library, x, alpha):
    small = library.exp(-alpha * x)
    return alpha * small / (1 + small) ** 2


SURROGATES: dict[str, Callable[[Value], Value | Bit]] = {
    "rectangle": lambda distance: InputBit("m"),
    "triangle": _triangle,
    "atan": _smooth("α / 2 / (1 + (π / 2 · α · x)²)", lambda _, x, alpha: alpha / 2 / (1 + (pi / 2 * alpha * x) ** 2)),
    "sigmoid": _smooth("α · σ(α · x) · (1 − σ(α · x))", _sigmoid),
    "fast-sigmoid": _smooth("1 / (1 + α · x)²", lambda _, x, alpha: 1 / (1 + alpha * x) ** 2),
    "superspike": _smooth("1 / (1 + α · x)²", lambda _, x, alpha: 1 / (1 + alpha * x) ** 2),
}
"""By name: the derivative of a spike, as a number or as a bit that has been stored, from the potential's distance from
the threshold."""
ALPHAS = {"atan": 2.0, "sigmoid": 4.0, "fast-sigmoid": 25.0, "superspike": 100.0}
"""The usual α of those that have one: SpikingJelly's of the first two, snnTorch's and Norse's of the last."""


BEGUN = StateBit("begun")  # there was a timestep before
ALWAYS = BEGUN | ~BEGUN


def _mean(u: Value) -> tuple[dict[str, Node], dict[str, Node]]:
    z = Constant("share") * u + State("z")
    return {"z": z}, {"z": z}


def _largest(u: Value) -> tuple[dict[str, Node], dict[str, Node]]:
    m = ~BEGUN | (u - State("z") > Constant("zero"))
    z = where(m, u, State("z"))
    return {"m": m, "z": z}, {"z": z, "begun": ALWAYS}


@dataclass(frozen=True)
class Readout:
    """What the output z of a neuron that does not fire is made of.

    forward: the potential u to outputs, z at the last timestep among them, and states. backward: the error at u from
    the error e at z, which comes at every timestep, and states; the last timestep comes first.
    """

    forward: Callable[[Value], tuple[dict[str, Node], dict[str, Node]]]
    backward: Callable[[], tuple[Value, dict[str, Node]]]


TAKEN = StateBit("taken")
READOUTS = {
    "mean": Readout(_mean, lambda: (Constant("share") * E, {})),
    "last": Readout(lambda u: ({"z": u}, {}), lambda: (where(BEGUN, 0, E), {"begun": ALWAYS})),
    "max": Readout(_largest, lambda: (where(InputBit("m") & ~TAKEN, E, 0), {"taken": TAKEN | InputBit("m")})),
}
"""By name: the mean of the potentials over time (``share`` is 1 / T), the last, the largest; of equal ones the first
has the error, which m marks as a new largest."""


FLAGS = ("threshold", "penalty", "still", "pooled", "averaged")
"""What may be said of a kind of neuron beside its parts."""


@dataclass(frozen=True)
class NeuronKind:
    """A neuron that a core can have: names of :data:`CHARGES`, :data:`RESETS` and :data:`SURROGATES`, and whether no
    error flows through a reset; or, with a ``readout`` of :data:`READOUTS`, one that does not fire. threshold: it is
    learned. penalty: a number of its layer is added to the errors at its spikes. still: its input is the same at every
    timestep, so its errors there are summed, the first timestep's being the sum. pooled: of a window of neurons one has
    the error, which the bit m says, or one that is dropped has none. averaged: each of a window has its share of the
    error, or more than that where a spike counts for more than 1."""

    charge: str = "lif"
    reset: str = "hard"
    surrogate: str = "rectangle"
    detach: bool = True
    readout: str = ""
    threshold: bool = False
    penalty: bool = False
    still: bool = False
    pooled: bool = False
    averaged: bool = False

    def __post_init__(self):
        if self.learns and self.readout:
            raise TridentError(f"a readout has no {self.learned} that is learned, as that of {self}")
        if self.threshold and self.charge in LEARNED:
            raise TridentError(f"a {self.charge} neuron learns its leak, and no threshold beside it")

    def __str__(self) -> str:
        names = [self.charge, *([self.readout] if self.readout else [self.reset, self.surrogate])]
        flags = {"attached": not self.detach, **{name: getattr(self, name) for name in FLAGS}}
        return "/".join([*names, *(name for name, said in flags.items() if said)])

    @classmethod
    def parse(cls, text: str) -> "NeuronKind":
        """Read ``lif/hard/atan``, ``if/soft/rectangle/attached`` (the reset is not detached) or, of a readout,
        ``lif/mean``, each perhaps with some of :data:`FLAGS` behind it, in their order. Raises :class:`TridentError`
        for anything else."""
        charge, *rest = text.split("/")
        flags = {name: name in rest for name in FLAGS}
        rest = [name for name in rest if name not in flags]
        if charge in CHARGES and len(rest) == 1 and rest[0] in READOUTS:
            found = cls(charge, "none", readout=rest[0], **flags)
        elif len(rest) >= 2 and rest[0] in RESETS and rest[1] in SURROGATES and rest[2:] in ([], ["attached"]):
            found = cls(charge, *rest[:2], detach=not rest[2:], **flags)
        else:
            found = cls()
        if str(found) == text and charge in CHARGES:
            return found
        raise TridentError(
            f"{text!r} is no neuron: write charge, reset and surrogate, as in lif/hard/atan, or charge and readout, "
            f"as in lif/mean; charges are {', '.join(CHARGES)}, resets {', '.join(RESETS)}, surrogates "
            f"{', '.join(SURROGATES)}, readouts {', '.join(READOUTS)}"
        )

    @property
    def learned(self) -> str:
        """What is learned, leak or threshold, or nothing."""
        return "threshold" if self.threshold else "leak" if self.charge in LEARNED else ""

    @property
    def learns(self) -> bool:
        """Its leak or its threshold is learned."""
        return bool(self.learned)

    @property
    def forward(self) -> Program:
        """The program of its forward pass."""
        if self.readout:
            return readout_program(self.readout, self.charge)
        return neuron_program(self.reset, self.charge, self.pooled, self.threshold)

    @property
    def backward(self) -> Program:
        """The program of its backward pass."""
        if self.readout:
            return readout_grad_program(self.readout, self.charge, self.still)
        return neuron_grad_program(
            self.reset, self.surrogate, self.charge, self.detach,
            tuple(name for name in FLAGS if getattr(self, name)),
        )


@cache
def neuron_program(reset: str, charge: str = "lif", pooled: bool = False, learned: bool = False) -> Program:
    """The program of a neuron's forward pass: from x to the spike s, the bit m of the rectangle and the potential u.
    ``pooled``: m is set, and is then of the windows alone. ``learned``: the threshold is, and differs from channel to
    channel; low and high are then how far u may be from it."""
    how, threshold = RESETS[reset], Input("threshold") if learned else THRESHOLD
    u, states = CHARGES[charge].forward(Input("x"), State("v"))
    if how.late:
        u = u + where(StateBit("fired"), -threshold, 0)
    compared = u - threshold if learned else u
    s = compared >= (Constant("zero") if learned else threshold)
    m = ALWAYS if pooled else (compared > Constant("low")) & (compared < Constant("high"))
    outputs = {"s": s, "m": m, "u": u}
    states = {**states, "v": how.forward(u, s, threshold), **({"fired": s} if how.late else {})}
    if pooled:
        states["begun"] = ALWAYS
    name = f"{charge}, reset {reset}{', pooled' if pooled else ''}{', threshold' if learned else ''}"
    return Program(name, ("x", *_own(charge, learned)), outputs, states)


def _kept(reset: str, charge: str, s: Bit) -> Value:
    """What of the stored potential the next timestep has, as the gradient of a leak takes it: where the next potential
    itself counts, with a threshold that is subtracted from that."""
    subtracted = RESETS[reset].late and charge.endswith(DECAYING)
    return RESETS["soft" if subtracted else reset].forward(U, s, THRESHOLD)


def _at_threshold(reset: str, charge: str, own: Value, d: Value, s: Bit, detached: bool) -> Value:
    """A term of a threshold's gradient, from the error d at the potential and the part ``own`` that it has from its
    spike by itself. A higher threshold takes from where the potential is above it, so that is the negated error through
    the spike, and from what a spike takes it from."""
    leaks, how = CHARGES[charge].backward, RESETS[reset]
    kept = leaks(NOTHING, how.backward(D, U, s, THRESHOLD, None)[0])[0]
    through = own if detached else d - kept
    if not how.takes:
        return -through
    fired = where(s, D, 0)
    return -(through + (fired if how.late else leaks(NOTHING, fired)[0]))


def _own(charge: str, learned: bool) -> tuple[str, ...]:
    """Inputs of a neuron's programs that are its own, the same at every timestep."""
    return ("threshold",) if learned else ("leak",) if charge in LEARNED else ()


@cache
def neuron_grad_program(
    reset: str, surrogate: str, charge: str = "lif", detached: bool = True, flags: tuple[str, ...] = ()
) -> Program:
    """The program of its backward pass, last timestep first: from the error e at s to the error dx at x, with s, m and
    u as they were stored. ``detached``: a reset is taken for a constant. ``flags``, of :data:`FLAGS`: with penalty a
    constant is added to e, the derivative of a penalty of spikes; still, dx is the sum of that of this timestep and of
    all later ones; pooled, there is an e only where m is set; averaged, it is a share or a multiple of what comes.
    Where the leak is learned or, with threshold, that is, g are the terms of its gradient."""
    learned = "threshold" in flags
    threshold = Input("threshold") if learned else THRESHOLD
    s, h = InputBit("s"), SURROGATES[surrogate](abs(U - threshold))
    at_spike: Value = Constant("pixel_share") * E if "averaged" in flags else E
    at_spike = where(InputBit("m"), at_spike, 0) if "pooled" in flags else at_spike
    e: Value = at_spike + Constant("penalty") if "penalty" in flags else at_spike
    if isinstance(h, Bit):
        own: Value = where(h, e, 0)
        h_value = where(h, 1, 0)
    else:
        own, h_value = h * e, h
    left, behind = RESETS[reset].backward(D, U, s, threshold, None if detached else h_value)
    own = own if behind is None else own + behind
    d, dx, states = CHARGES[charge].backward(own, left)
    gradient, outputs = CHARGES[charge].gradient, {}
    if gradient:
        outputs["g"] = gradient(d, D, U, _kept(reset, charge, s))
    elif learned:
        outputs["g"] = _at_threshold(reset, charge, own, d, s, detached)
    extras = "".join(f", {flag}" for flag in ("not detached" * (not detached), *flags) if flag not in ("", "still"))
    name = f"{charge}, reset {reset}{extras}, surrogate {surrogate}"
    return _backward(name, {"dx": dx, **outputs}, {**states, "d": d}, "still" in flags, _own(charge, learned))


def _backward(
    name: str, outputs: dict[str, Value], states: dict[str, Node], still: bool, own: tuple[str, ...] = ()
) -> Program:
    if still:
        total = State("total") + outputs["dx"]
        name, states, outputs = f"{name}, input still", {**states, "total": total}, outputs | {"dx": total}
    return Program(name, ("e", "s", "m", "u", *own), {**outputs}, states, descending=True)


@cache
def readout_program(readout: str, charge: str = "lif") -> Program:
    """The program of a readout's forward pass: from x to the potential u and the output z, which counts at the last
    timestep; of the largest potential also the bit m of a new one."""
    u, states = CHARGES[charge].forward(Input("x"), State("v"))
    outputs, kept = READOUTS[readout].forward(u)
    return Program(f"{charge}, readout {readout}", ("x",), {"u": u, **outputs}, {**states, "v": u, **kept})


@cache
def readout_grad_program(readout: str, charge: str = "lif", still: bool = False) -> Program:
    """The program of its backward pass, as :func:`neuron_grad_program`, from the error e at z."""
    own, kept = READOUTS[readout].backward()
    d, dx, states = CHARGES[charge].backward(own, D)
    return _backward(f"{charge}, readout {readout}", {"dx": dx}, {**states, "d": d, **kept}, still)
