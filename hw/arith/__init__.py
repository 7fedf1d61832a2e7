"""Floating-point arithmetic: the number format, the pipelined adder and the pipelined multiplier."""

from hw.arith.add import FloatAdd
from hw.arith.format import BF16, FP16, FloatFormat
from hw.arith.mul import FloatMul

__all__ = ["BF16", "FP16", "FloatAdd", "FloatFormat", "FloatMul"]
