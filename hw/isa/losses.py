"""Losses as vector programs: from how often the classes fired to the errors at their spikes.

A loss of a class by itself is a table of its spikes, see :mod:`trident.sim.golden.loss`. The softmax of all classes is
a table of how many spikes a class has less than the one that has most, x = exp(-that), the sum of x over the classes,
and two programs.
"""

from functools import cache

from trident.hw.isa.optimisers import RECIPROCAL
from trident.hw.isa.vector import Constant, Input, InputBit, Interpolate, where
from trident.hw.isa.vector_program import Program

LOSSES = ("table", "softmax")
"""What a core can have been built with."""
NUMBERS = ("gain", "hit", "miss")
"""Numbers of the softmax, which stand where the table of a label's neuron stands otherwise: what probabilities are
multiplied by, and what is then wanted of the label's class and of the others."""


@cache
def share_program() -> Program:
    """Once per sample: from the sum of all x to what an x is multiplied by."""
    share = Interpolate(RECIPROCAL, Input("total")) * Constant("gain")
    return Program("softmax, once per sample", ("total",), {"share": share})


@cache
def error_program() -> Program:
    """For every class: the error at its spikes."""
    wanted = where(InputBit("label"), -Constant("hit"), -Constant("miss"))
    return Program("softmax, for every class", ("x", "share", "label"), {"e": Input("x") * Input("share") + wanted})
