"""Functions of one variable as tables with linear interpolation."""

from collections.abc import Callable

import numpy as np
from numba import njit

from trident.hw.isa.format import FloatFormat
from trident.hw.isa.microcode import SCALE_BITS
from trident.hw.isa.tables import PIECE_BITS
from trident.sim.golden.add import add_value
from trident.sim.golden.format import STEP, float_bits, to_bits, to_values, value_dtype
from trident.sim.golden.mul import mul_value
from trident.sim.golden.sums import Sums

SAMPLES = 65  # of a piece, in which its line is fitted


def table_values(function: Callable[[np.ndarray], np.ndarray], fmt: FloatFormat) -> np.ndarray:
    """The lines of a function's pieces, shape (pieces, 3): slope and base of ``slope * x * 2**scale + base``, values of
    the format, and the scale, a whole number with which the slope is within 1 to 2.

    A piece has the numbers whose exponent and first :data:`PIECE_BITS` bits of the fraction are the same. Its line has
    the least worst error of all lines with its slope, before rounding; that of infinities and NaN is the function at
    the largest number. Values are at most the largest of the format.
    """
    bits = fmt.frac - PIECE_BITS
    pieces = np.arange((fmt.inf >> bits) + (1 << PIECE_BITS))
    first = np.minimum(pieces << bits, fmt.inf - 1)
    ends = to_values(np.minimum(first + (1 << bits), fmt.inf - 1), fmt)
    x = np.linspace(to_values(first, fmt), ends, SAMPLES)
    with np.errstate(divide="ignore"):
        y = np.minimum(function(x), to_values(fmt.max_finite, fmt))
    wide = x[-1] > x[0]
    slope = np.where(wide, (y[-1] - y[0]) / np.where(wide, x[-1] - x[0], 1), 0)
    half = 1 << SCALE_BITS - 1
    scale = np.clip(np.where(slope, np.frexp(slope)[1] - 1, 0), -half, half - 1)
    slope = to_values(to_bits(np.ldexp(slope, -scale), fmt), fmt)
    off = y - np.ldexp(slope, scale) * x
    base = to_values(to_bits((off.max(axis=0) + off.min(axis=0)) / 2, fmt), fmt)
    return np.stack([slope, base, scale], axis=1).astype(value_dtype(fmt))


@njit(**STEP)
def interpolate(x, table, p, subnormals):
    """The function of a table, see :func:`table_values`, at a value x of the format that is at least 0, for numba
    loops: a product and a sum, rounded once each."""
    c = p.work
    shift = c.fraction_bits - PIECE_BITS
    if x < c.min_normal:
        piece = int(x * (1 << PIECE_BITS) / c.min_normal)
    else:
        piece = (int(float_bits(x)) >> shift) - (int(c.min_normal_bits) >> shift) + (1 << PIECE_BITS)
    piece = min(piece, table.shape[0] - 1)
    return add_value(mul_value(table[piece, 0], x, p, subnormals, int(table[piece, 2])), table[piece, 1], p)


@njit(cache=True)
def _every(x, table, p, subnormals, found):
    for n in range(x.size):
        found[n] = interpolate(x[n], table, p, subnormals)


def table_errors(
    function: Callable[[np.ndarray], np.ndarray], sums: Sums, subnormals: bool, relative: bool = False
) -> np.ndarray:
    """What a function's table is off by at every number of the format that is at least 0, as float64 in units of the
    last place of the function's largest value or, ``relative``, of its value there."""
    fmt = sums.fmt
    x = to_values(np.arange(fmt.inf), fmt)
    found = np.empty(x.size, sums.dtype)
    _every(x.astype(sums.dtype), table_values(function, fmt), sums.parameters, subnormals, found)
    with np.errstate(divide="ignore"):
        exact = function(x)
    top = to_bits(exact if relative else exact.max(), fmt).astype(np.int64)
    return np.abs(found - exact) / (to_values(top + 1, fmt) - to_values(top, fmt))
