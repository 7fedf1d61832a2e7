"""Golden adder: what hw/arith/add.py computes, bit for bit."""

import numpy as np
from numba import njit

from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import STEP, round_to, to_bits, to_values


def add(a, b, fmt: FloatFormat, fixed: FixedFormat):
    """Sums of raw bits, rounded once to nearest even; +infinity where an operand is too large for the sum.

    Parameters
    ----------
    a, b : arrays of int
        Raw bits, shapes that broadcast.
    fmt : FloatFormat
    fixed : FixedFormat
        In which the sum is made.

    Returns
    -------
    uint16 or uint32 array of raw bits.
    """
    pair = fixed.of_pairs(fmt)
    least, largest = 2.0**pair.place, 2.0 ** (pair.limit(fmt, 2) - fmt.bias)
    x, y = to_values(a, fmt), to_values(b, fmt)
    fits = (np.abs(x) < largest) & (np.abs(y) < largest)
    terms = (np.rint(np.where(fits, value, 0) / least) * least for value in (x, y))
    return np.where(fits, to_bits(sum(terms) + 0.0, fmt), fmt.inf).astype(to_bits(0.0, fmt).dtype)


@njit(**STEP)
def add_value(a, b, p):
    """Sum of two values of the format as `add`, for numba loops.

    Parameters
    ----------
    a, b : float32 or float64
        Values of the format (any NaN stands for the canonical one).
    p : FormatParameters
        From `fmt_parameters`.

    Returns
    -------
    float of `value_dtype`: the exact value of the rounded sum; a zero is +0.
    """
    c = p.work
    floating = type(c.overflow)
    x, y = floating(a), floating(b)
    if not (abs(x) < p.too_large and abs(y) < p.too_large):
        return floating(np.inf)
    if p.coarse:
        x, y = round_to_place(x, p), round_to_place(y, p)
    return round_to(x + y, c.min_normal_bits, c) + floating(0)


@njit(inline="always")
def round_to_place(x, p):
    """A finite value as the term of a sum whose last place is above the format's: to nearest even."""
    return type(x)(np.rint(np.float64(x) / p.place) * p.place)
