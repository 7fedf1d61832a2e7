"""Golden adder: what hw/arith/add.py computes, bit for bit."""

import numpy as np
from numba import njit

from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import round_to, to_bits, to_values


def add(a, b, fmt: FloatFormat):
    """Sums of raw bits, IEEE 754 round to nearest even, subnormals kept, NaN canonical.

    Parameters
    ----------
    a, b : arrays of int
        Raw bits, shapes that broadcast.
    fmt : FloatFormat

    Returns
    -------
    uint16 or uint32 array of raw bits.
    """
    # float64 holds the sum of two values exactly or rounds it innocuously: 53 >= 2 * 24 + 2 (Figueroa 1995).
    with np.errstate(invalid="ignore"):
        return to_bits(to_values(a, fmt) + to_values(b, fmt), fmt)


@njit(inline="always")
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
    float of `value_dtype`: the exact value of the rounded sum, signed zeros kept.
    """
    c = p.work
    floating = type(c.overflow)
    return round_to(floating(a) + floating(b), c.min_normal_bits, c)
