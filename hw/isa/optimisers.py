"""Optimisers as vector programs: from the gradient g and what is kept of a parameter to its new values."""

from functools import cache

from trident.hw.isa.vector import Constant, Input
from trident.hw.isa.vector_program import Program


@cache
def sgd() -> Program:
    v = Constant("momentum") * Input("v") + Input("g")
    step = (Constant("minus_rate") * v).times_power(Constant("scale"))
    return Program("sgd", ("g", "v", "w"), {"v": v, "w": step + Input("w")})


OPTIMISERS = {"sgd": sgd}
"""By name; a step is ``minus_rate * 2**scale``."""
