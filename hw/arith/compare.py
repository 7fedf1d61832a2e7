"""Comparison of floating-point numbers as raw bits."""

from amaranth.hdl import Cat, Mux


def sort_key(bits):
    """An unsigned number that orders raw bits as the numbers they stand for; NaN sorts above infinity.

    -0 sorts just below +0: compare with a constant that is not zero, or accept that.
    """
    sign = bits[-1]
    return Cat(Mux(sign, ~bits[:-1], bits[:-1]), ~sign)
