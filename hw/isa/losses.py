"""The softmax of all classes as vector programs: from their outputs to the errors at these.

A loss of a class by itself is a table of its spikes, see :mod:`trident.sim.golden.loss`. Outputs are a table of how
often the classes fired or what readouts say; x is the exponential of how far one is below the largest.
"""

from functools import cache

from trident.hw.isa.optimisers import RECIPROCAL
from trident.hw.isa.vector import Constant, Input, InputBit, Interpolate, Table, Value, where
from trident.hw.isa.vector_program import Program

LOSSES = ("table", "softmax", "membrane", "steps")
"""What a core can have been built with: a table of a class's spikes, the softmax of counts, that of readouts' outputs
or of their potentials at every timestep."""
READOUT_LOSSES = ("membrane", "steps")
"""Those of readouts."""
NUMBERS = ("gain", "hit", "miss")
"""Numbers of the softmax, which stand where the table of a label's neuron stands otherwise: what probabilities are
multiplied by, and what is then wanted of the label's class and of the others; all with the weight of that class. With
soft targets every sample is a label, and what is wanted of each class follows them."""
EXPONENTIAL = Table("exponential", "exp(−x)", lambda library, x, _: library.exp(-x))


def _x() -> Value:
    return Interpolate(EXPONENTIAL, abs(Input("z") - Input("most")))


@cache
def part_program() -> Program:
    """For every class: from its output z and the largest one to x."""
    return Program("softmax, for every class", ("z", "most"), {"x": _x()})


@cache
def share_program() -> Program:
    """Once per sample: from the sum of all x to what an x is multiplied by."""
    share = Interpolate(RECIPROCAL, Input("total")) * Constant("gain")
    return Program("softmax, once per sample", ("total",), {"share": share})


@cache
def error_program(soft: bool = False) -> Program:
    """For every class: the error at its output; ``soft``: what is wanted of each is a number of its own."""
    if soft:
        each = {"e": _x() * Input("share") - Input("wanted")}
        return Program("softmax, errors of soft targets", ("z", "most", "share", "wanted"), each)
    wanted = where(InputBit("label"), -Constant("hit"), -Constant("miss"))
    return Program("softmax, errors", ("z", "most", "share", "label"), {"e": _x() * Input("share") + wanted})


def loss_programs(soft: bool = False) -> tuple[Program, Program, Program]:
    """The three, in their order."""
    return part_program(), share_program(), error_program(soft)
