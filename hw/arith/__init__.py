"""Floating-point arithmetic: the number format, the pipelined adder and the pipelined multiplier."""

from trident.hw.arith.add import FloatAdd
from trident.hw.arith.mul import FloatMul
from trident.hw.isa.format import BF16, FP16, FloatFormat

__all__ = ["BF16", "FP16", "FloatAdd", "FloatFormat", "FloatMul"]
