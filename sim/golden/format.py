"""Golden number format: raw bits to values and back, and the rounding that every golden kernel shares.

Two faces that agree bit for bit. `to_bits` and `to_values` work on NumPy arrays of raw bits. `round_value` and its kin
are numba kernels for the inner loops of the golden trainer: they work on the values themselves, held in float32
or float64.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import overload

from trident.hw.folders import QUICK
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat

# How numba takes the steps of a program into its kernel: into what it compiles to, in a quarter of the time, or before
# it compiles, for kernels that are faster by up to a third
STEP = {"forceinline": True} if QUICK else {"inline": "always"}

_NARROW_FRAC = 10
_NARROW_EXP = 6


def raw_dtype(fmt: FloatFormat):
    """The NumPy type of raw bits: uint16 for formats of up to 16 bits, else uint32."""
    return np.uint16 if fmt.width <= 16 else np.uint32


def value_dtype(fmt: FloatFormat):
    """The NumPy type in which the value kernels compute, and the best one for arrays of values.

    float32 for precisions of up to 11 bits and exponents of up to 6, else float64. A sum or product of two values is
    rounded to this type and then to the format. The first rounding is innocuous: a product is exact (twice the
    precision fits), and for a sum twice the precision plus two bits is enough (Figueroa 1995: 24 >= 2 * 11 + 2,
    53 >= 2 * 24 + 2; a sum in the subnormal range is exact). The limit on the exponent keeps every product in range.
    """
    return np.float32 if fmt.frac <= _NARROW_FRAC and fmt.exp <= _NARROW_EXP else np.float64


def to_values(bits, fmt: FloatFormat):
    """The values of raw bits.

    Parameters
    ----------
    bits : array of int
        Raw bits, any shape; bits above the width are ignored.
    fmt : FloatFormat

    Returns
    -------
    float64 array of the same shape; exact, signed zeros kept.
    """
    bits = np.asarray(bits).astype(np.int64)
    exp = (bits & fmt.inf) >> fmt.frac
    frac = bits & (fmt.min_normal - 1)
    significand = np.where(exp > 0, frac | fmt.min_normal, frac).astype(np.float64)
    value = np.ldexp(significand, (np.maximum(exp, 1) - fmt.bias - fmt.frac).astype(np.int32))
    value = np.where(exp == fmt.inf >> fmt.frac, np.where(frac == 0, np.inf, np.nan), value)
    return np.where(bits & fmt.negative_zero, -value, value)


def to_bits(values, fmt: FloatFormat, subnormals=True):
    """Raw bits of the nearest values of the format, ties to even: one rounding from float64.

    Parameters
    ----------
    values : array of float
        Any shape.
    fmt : FloatFormat
    subnormals : bool
        If false, the value is rounded as if the exponent had no lower limit, and what is then still below the smallest
        normal number becomes a zero of its sign.

    Returns
    -------
    uint16 or uint32 array of the same shape (see `raw_dtype`); NaN is canonical, overflow is infinity.
    """
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    magnitude = np.abs(np.where(finite, values, 0.0))
    least = 1 - fmt.bias - fmt.frac
    unit = np.frexp(magnitude)[1].astype(np.int64) - 1 - fmt.frac
    if subnormals:
        unit = np.maximum(unit, least)
    # In units of the last place the significand carries its hidden one, which adds 1 to the exponent code below; so
    # does a carry out of the rounding.
    bits = ((unit - least) << fmt.frac) + np.rint(np.ldexp(magnitude, -unit.astype(np.int32))).astype(np.int64)
    if not subnormals:
        bits = np.where(bits < fmt.min_normal, 0, bits)
    bits = np.where(magnitude == 0, 0, bits)
    bits = np.where(finite, np.minimum(bits, fmt.inf), fmt.inf)
    bits = np.where(np.signbit(values), bits | fmt.negative_zero, bits)
    return np.where(np.isnan(values), fmt.nan, bits).astype(raw_dtype(fmt))


class RoundParameters(NamedTuple):
    """Constants that round a value held in one IEEE type to a format; integers and floats are of the type's width."""

    sign_mask: int
    exponent_mask: int
    min_normal_bits: int
    magic_offset: int
    overflow: float
    min_normal: float
    one_bits: int
    fraction_bits: int
    scale_limit: int


class FormatParameters(NamedTuple):
    """What the value kernels need to know of a format: `work` for sums and products, `wide` for any float64.

    Of the sums: `place`, what their last place counts for; `coarse`, whether that is above the format's least number;
    `too_large`, the least magnitude that a sum of two does not take.
    """

    work: RoundParameters
    wide: RoundParameters
    place: float
    coarse: bool
    too_large: float


def _round_parameters(fmt, floating):
    integer = np.int32 if floating is np.float32 else np.int64
    info = np.finfo(floating)
    bits = {name: int(value.view(integer)) for name, value in (
        ("exponent_mask", floating(np.inf)), ("one", floating(1)), ("half", floating(0.5)), ("sign", floating(-0.0)))}
    step = bits["one"] - bits["half"]
    max_finite = float(to_values(fmt.max_finite, fmt))
    return RoundParameters(
        sign_mask=integer(bits["sign"]), exponent_mask=integer(bits["exponent_mask"]),
        min_normal_bits=integer(floating(2.0 ** (1 - fmt.bias)).view(integer)),
        # 1.5 * 2 ** (surplus fraction bits), applied to the exponent of the value
        magic_offset=integer((info.nmant - fmt.frac) * step + step // 2),
        overflow=floating(max_finite + 2.0 ** (fmt.bias - fmt.frac - 1)),
        min_normal=floating(2.0 ** (1 - fmt.bias)),
        one_bits=integer(bits["one"]), fraction_bits=integer(info.nmant), scale_limit=integer(info.maxexp - 2))


def fmt_parameters(fmt: FloatFormat, fixed: FixedFormat):
    """The parameter pack of the value kernels (`round_value`, `add_value`, `mul_value`): pass it as an argument.

    fixed : FixedFormat
        In which sums are made.
    """
    floating = value_dtype(fmt)
    return FormatParameters(
        work=_round_parameters(fmt, floating), wide=_round_parameters(fmt, np.float64), place=2.0**fixed.place,
        coarse=fixed.unit_code(fmt) > 1, too_large=floating(2.0 ** (fixed.of_pairs(fmt).limit(fmt, 2) - fmt.bias)),
    )  # fmt: skip


def float_bits(x):
    """The bits of a float32 or float64 as an int32 or int64; for use in numba kernels."""
    return x.view(np.int32 if isinstance(x, np.float32) else np.int64)


def bits_float(bits, like):
    """The float of the type of `like` that the low bits of an integer stand for; for use in numba kernels."""
    narrow = isinstance(like, np.float32)
    return (np.int32 if narrow else np.int64)(bits).view(np.float32 if narrow else np.float64)


@overload(float_bits, inline="always")
def _float_bits(x):
    if x == types.float32:
        return lambda x: np.float32(x).view(np.int32)
    return lambda x: np.float64(x).view(np.int64)


@overload(bits_float, inline="always")
def _bits_float(bits, like):
    if like == types.float32:
        return lambda bits, like: np.int32(bits).view(np.float32)
    return lambda bits, like: np.int64(bits).view(np.float64)


@njit(inline="always")
def round_to(x, floor, c):
    """Round a float of the type of `c` to its format; `floor` is `c.min_normal_bits`, or 0 for no least exponent."""
    bits = float_bits(x)
    # A number whose last place is the one to round to: the addition rounds to nearest even, the subtraction is exact.
    magic = bits_float(max(bits & c.exponent_mask, floor) + c.magic_offset, x)
    rounded = (x + magic) - magic
    # A zero has lost its sign; anything else has it already.
    rounded = bits_float(float_bits(rounded) | (bits & c.sign_mask), x)
    return np.copysign(type(x)(np.inf), x) if abs(x) >= c.overflow else rounded


@njit(inline="always")
def round_value(x, p):
    """The value of the format nearest to any float64 (or float32), ties to even, as a float64; bits as `to_bits`."""
    return round_to(np.float64(x), p.wide.min_normal_bits, p.wide)
