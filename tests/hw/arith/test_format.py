"""The number format and its golden conversions."""

import numpy as np
import pytest
from numba import njit

from trident.hw.errors import TridentError
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import BF16, FP16, FloatFormat
from trident.sim.golden.format import fmt_parameters, round_value, to_bits, to_values, value_dtype

FORMATS = [FP16, BF16, FloatFormat(4, 3), FloatFormat(5, 2), FloatFormat(2, 1), FloatFormat(3, 12)]


@pytest.mark.parametrize(("exp", "frac"), [(1, 10), (9, 10), (5, 0), (5, 24), (5.0, 10), (5, True), ("5", 10)])
def test_refuses_widths(exp, frac):
    with pytest.raises(TridentError, match="FloatFormat (exp|frac) must be an integer from"):
        FloatFormat(exp, frac)


def test_constants_of_binary16():
    assert (FP16.width, FP16.bias, FP16.nan, FP16.inf) == (16, 15, 0x7E00, 0x7C00)
    assert (FP16.zero, FP16.negative_zero, FP16.one, FP16.magnitude_mask) == (0, 0x8000, 0x3C00, 0x7FFF)
    assert (FP16.min_subnormal, FP16.min_normal, FP16.max_finite) == (1, 0x400, 0x7BFF)
    assert (BF16.nan, BF16.bias, BF16.one) == (0x7FC0, 127, 0x3F80)


@pytest.mark.parametrize("fmt", FORMATS)
def test_shape_has_the_fields_of_the_raw_bits(fmt):
    shape = fmt.shape()
    assert shape.size == fmt.width
    value = shape.const({"sign": 1, "exp": 2, "frac": 1}).as_value().value
    assert value == fmt.negative_zero | 2 << fmt.frac | 1


def test_decode_is_numpy_half():
    bits = np.arange(1 << 16, dtype=np.uint16)
    got, expected = to_values(bits, FP16), bits.view(np.float16).astype(np.float64)
    number = ~np.isnan(expected)
    assert np.array_equal(got, expected, equal_nan=True)
    assert np.array_equal(np.signbit(got)[number], np.signbit(expected)[number])


@pytest.mark.parametrize("fmt", FORMATS)
def test_encode_inverts_decode(fmt):
    bits = np.arange(1 << fmt.width)
    expected = np.where((bits & fmt.magnitude_mask) > fmt.inf, fmt.nan, bits)
    assert np.array_equal(to_bits(to_values(bits, fmt), fmt), expected)


def _halfway(fmt):
    """All numbers of a format, the middles between neighbours, and the nearest float64 on both sides of those."""
    values = to_values(np.arange(fmt.inf), fmt)
    middles = np.append((values[1:] + values[:-1]) / 2, values[-1] + (values[-1] - values[-2]) / 2)
    points = np.concatenate([values, middles, np.nextafter(middles, 0), np.nextafter(middles, np.inf),
                             [1e300, 5e-324, np.inf, np.nan]])
    return np.concatenate([points, -points])


def test_encode_rounds_as_numpy_half():
    values = _halfway(FP16)
    with np.errstate(over="ignore", under="ignore"):
        half = values.astype(np.float16)
    expected = np.where(np.isnan(half), FP16.nan, half.view(np.uint16))
    assert np.array_equal(to_bits(values, FP16), expected)


@pytest.mark.parametrize("fmt", FORMATS)
def test_encode_takes_the_nearest_and_ties_to_even(fmt):
    bits = np.arange(fmt.inf)
    values = to_values(bits, fmt)
    middles = (values[1:] + values[:-1]) / 2
    assert np.array_equal(to_bits(middles, fmt), bits[:-1] + (bits[:-1] & 1))
    assert np.array_equal(to_bits(np.nextafter(middles, 0), fmt), bits[:-1])
    assert np.array_equal(to_bits(np.nextafter(middles, np.inf), fmt), bits[1:])


def test_encode_flushes_after_rounding():
    least = float(to_values(FP16.min_normal, FP16))
    values = np.array([least, least * (1 - 2.0 ** -12), least * (1 - 2.0 ** -11), -least / 2, -0.0])
    assert to_bits(values, FP16, subnormals=False).tolist() == [0x400, 0x400, 0, 0x8000, 0x8000]


@njit
def _round_all(values, out, p):
    for i in range(values.size):
        out[i] = round_value(values[i], p)


@pytest.mark.parametrize("fmt", FORMATS)
def test_round_value_is_encode(fmt):
    values = _halfway(fmt)
    out = np.empty_like(values)
    _round_all(values, out, fmt_parameters(fmt, FixedFormat(48, -24)))
    expected = to_values(to_bits(values, fmt), fmt)
    assert np.array_equal(out, expected, equal_nan=True)
    assert np.array_equal(np.signbit(out)[~np.isnan(out)], np.signbit(expected)[~np.isnan(out)])


def test_value_dtype_is_wide_enough():
    assert value_dtype(FP16) is np.float32
    assert value_dtype(BF16) is np.float64
    assert value_dtype(FloatFormat(5, 11)) is np.float64
