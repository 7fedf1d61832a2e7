"""Golden multiplier: what hw/arith/mul.py computes, bit for bit."""

import numpy as np
from numba import njit

from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import STEP, bits_float, round_to, to_bits, to_values

_SCALE_LIMIT = 1022


def mul(a, b, fmt: FloatFormat, subnormals=True, scale=0):
    """Products a * b * 2**scale of raw bits, rounded once to nearest even, NaN canonical.

    Parameters
    ----------
    a, b : arrays of int
        Raw bits, shapes that broadcast.
    fmt : FloatFormat
    subnormals : bool
        True: IEEE 754. False: a subnormal input counts as a zero of its sign; the product is rounded as if the exponent
        had no lower limit, and if it is then below the smallest normal number it becomes a zero of its sign.
    scale : int or array of int
        Power of two, broadcast.

    Returns
    -------
    uint16 or uint32 array of raw bits.
    """
    x, y = to_values(a, fmt), to_values(b, fmt)
    if not subnormals:
        least = to_values(fmt.min_normal, fmt)
        x = np.where(np.abs(x) < least, np.copysign(0.0, x), x)
        y = np.where(np.abs(y) < least, np.copysign(0.0, y), y)
    # Exact: 2 * 24 bits fit in 53, and no product of the format comes near the exponent limits of float64.
    with np.errstate(invalid="ignore"):
        product = x * y
    # Beyond the limit every product is far in overflow or underflow of the format.
    with np.errstate(over="ignore", under="ignore"):
        product = np.ldexp(product, np.clip(scale, -_SCALE_LIMIT, _SCALE_LIMIT).astype(np.int32))
    return to_bits(product, fmt, subnormals)


@njit(**STEP)
def mul_value(a, b, p, subnormals, scale):
    """Product a * b * 2**scale of two values of the format as `mul`, for numba loops.

    Parameters
    ----------
    a, b : float32 or float64
        Values of the format (any NaN stands for the canonical one).
    p : FormatParameters
        From `fmt_parameters`.
    subnormals : bool
    scale : int

    Returns
    -------
    float of `value_dtype`: the exact value of the rounded product, signed zeros kept.
    """
    c = p.work
    floating = type(c.overflow)
    x, y = floating(a), floating(b)
    zero = floating(0)
    if not subnormals:
        x = np.copysign(zero, x) if abs(x) < c.min_normal else x
        y = np.copysign(zero, y) if abs(y) < c.min_normal else y
    # The product is exact. The factor is a power of two; at its limits every product is far in overflow or underflow.
    exponent = min(max(scale, -c.scale_limit), c.scale_limit)
    product = x * y * bits_float((exponent << c.fraction_bits) + c.one_bits, x)
    if subnormals:
        return round_to(product, c.min_normal_bits, c)
    result = round_to(product, type(c.min_normal_bits)(0), c)
    return np.copysign(zero, result) if abs(result) < c.min_normal else result
