"""Floating-point arithmetic: the number formats, the pipelined adder and multiplier, and the parts of exact sums."""

from trident.hw.arith.add import FloatAdd
from trident.hw.arith.align import Align, Term
from trident.hw.arith.mul import FloatMul
from trident.hw.arith.sums import Round
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import BF16, FP16, FloatFormat

__all__ = ["BF16", "FP16", "Align", "FixedFormat", "FloatAdd", "FloatFormat", "FloatMul", "Round", "Term"]
