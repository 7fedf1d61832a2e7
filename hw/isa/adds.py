"""Sums that are added to others behind a norm, and their errors, as a vector program."""

from trident.hw.isa.vector import Input
from trident.hw.isa.vector_program import Program

ADDITION = Program("addition", ("a", "b"), {"total": Input("a") + Input("b")})
"""Of rows a and b, rounded once."""
