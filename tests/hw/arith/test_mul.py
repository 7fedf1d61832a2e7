"""The multiplier: golden against NumPy and SoftFloat, the numba kernel and the RTL against golden, bit for bit."""

from fractions import Fraction

import numpy as np
import pytest
import softfloatpy
from numba import njit

from tests.hw.arith.bulk import Bulk
from tests.hw.arith.cases import FULL, assert_same, assert_unit, boundary_pairs, random_chunks, refusal
from trident.hw.arith.mul import FloatMul
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import BF16, FP16, FloatFormat
from trident.sim.golden.format import fmt_parameters, to_bits, to_values, value_dtype
from trident.sim.golden.mul import mul, mul_value

FP32 = FloatFormat(8, 23)
SMALL = [FloatFormat(4, 3), FloatFormat(5, 2), FloatFormat(2, 1), FloatFormat(3, 12), FloatFormat(6, 13)]
STAGES = range(1, 5)


def test_golden_is_numpy_half():
    for a, b in [boundary_pairs(FP16), *((a, b) for a, b, _ in random_chunks(16))]:
        with np.errstate(all="ignore"):
            product = a.astype(np.uint16).view(np.float16) * b.astype(np.uint16).view(np.float16)
        assert_same(mul(a, b, FP16), np.where(np.isnan(product), FP16.nan, product.view(np.uint16)), a, b)


def test_golden_is_numpy_single():
    for a, b, _ in random_chunks(32, 300_000):
        with np.errstate(all="ignore"):
            product = a.astype(np.uint32).view(np.float32) * b.astype(np.uint32).view(np.float32)
        assert_same(mul(a, b, FP32), np.where(np.isnan(product), FP32.nan, product.view(np.uint32)), a, b)


def test_golden_is_softfloat():
    pairs = [boundary_pairs(FP16), next(random_chunks(16, 1_000_000 if FULL else 50_000))[:2]]
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if not FULL:
        chosen = np.random.default_rng(3).permutation(a.size)[:150_000]
        a, b = a[chosen], b[chosen]
    softfloatpy.set_rounding_mode(softfloatpy.RoundingMode.NEAR_EVEN)
    make, times = softfloatpy.Float16.from_bytes, softfloatpy.f16_mul
    half = [make(n.to_bytes(2, "big")) for n in range(1 << 16)]
    got = np.array([int.from_bytes(times(half[x], half[y]).to_bytes(), "big")
                    for x, y in zip(a.tolist(), b.tolist(), strict=True)])
    assert_same(mul(a, b, FP16), np.where((got & 0x7FFF) > FP16.inf, FP16.nan, got), a, b)


def _rounded(value, fmt, subnormals):
    """Raw bits of the positive fraction nearest in the format, by exact arithmetic."""
    least = Fraction(2) ** (1 - fmt.bias - fmt.frac)
    unit = least if subnormals else Fraction(2) ** -2000
    while value >= unit * 2 * fmt.min_normal:
        unit *= 2
    value = round(value / unit) * unit
    if not subnormals and value < least * fmt.min_normal:
        return 0
    biggest = Fraction(float(to_values(fmt.max_finite, fmt)))
    return fmt.inf if value > biggest else int(to_bits(float(value), fmt))


@pytest.mark.parametrize("fmt", [FP16, BF16])
@pytest.mark.parametrize("subnormals", [True, False])
def test_golden_scale_is_one_rounding(fmt, subnormals):
    rng = np.random.default_rng(5)
    a, b = rng.integers(1, fmt.inf, (2, 1000))
    exponent = (a >> fmt.frac) + (b >> fmt.frac) - 2 * fmt.bias
    aimed = rng.choice([1 - fmt.bias - 3, 1 - fmt.bias, 0, fmt.bias], a.size) - exponent
    scale = np.clip(aimed + rng.integers(-3, 4, a.size), -512, 511)
    for x, y, k, got in zip(a, b, scale, mul(a, b, fmt, subnormals, scale), strict=True):
        u, v = (Fraction(float(to_values(z if subnormals or z >= fmt.min_normal else 0, fmt))) for z in (x, y))
        exact = u * v * Fraction(2) ** int(k)
        assert got == _rounded(exact, fmt, subnormals), (hex(x), hex(y), k)


def test_golden_flush():
    small, least, one = 0x3FF, FP16.min_normal, FP16.one
    assert mul(small, one, FP16, subnormals=False) == 0
    assert mul(small | 0x8000, one, FP16, subnormals=False) == 0x8000
    assert mul(small, FP16.inf, FP16, subnormals=False) == FP16.nan
    assert mul(least, 0x3800, FP16, subnormals=False) == 0
    # (1 + 1/1024) * (2 - 1/512) / 2 is 1 - 2**-20: rounded to eleven bits it is the smallest normal number again.
    assert mul(least + 1, 0x3BFE, FP16, subnormals=False) == least


@njit
def _mul_all(a, b, out, p, subnormals, scale):
    for i in range(a.size):
        out[i] = mul_value(a[i], b[i], p, subnormals, scale[i])


@pytest.mark.parametrize("fmt", [FP16, BF16, FP32, *SMALL])
@pytest.mark.parametrize("subnormals", [True, False])
def test_value_kernel_is_golden(fmt, subnormals):
    p = fmt_parameters(fmt, FixedFormat(48, -24))
    pairs = [(*boundary_pairs(fmt), 0), *random_chunks(fmt.width, 300_000)]
    for a, b, scale in pairs:
        scale = np.broadcast_to(scale, a.shape).astype(np.int64)
        out = np.empty(a.size, value_dtype(fmt))
        x, y = (to_values(z, fmt).astype(value_dtype(fmt)) for z in (a, b))
        _mul_all(x, y, out, p, subnormals, scale)
        assert_same(to_bits(out, fmt), mul(a, b, fmt, subnormals, scale), a, b, scale)


def _units(fmt, stages, scale_bits=0):
    return [FloatMul(fmt, stages, subnormals, scale_bits) for subnormals in (True, False)]


@pytest.fixture(scope="module")
def bulk():
    units = [unit for stages in STAGES for unit in _units(FP16, stages)]
    units += [unit for stages in (1, 2, 4) for unit in _units(BF16, stages)]
    units += [unit for stages, scale_bits in ((2, 5), (4, 10)) for unit in _units(FP16, stages, scale_bits)]
    units += _units(BF16, 3, 10)
    units += [unit for fmt in SMALL if fmt.width <= 16 for unit in _units(fmt, 2, 4)]
    return Bulk(units)


@pytest.fixture(scope="module")
def wide():
    return Bulk([*_units(FP32, 2, 10), *_units(FloatFormat(6, 13), 3)])


def _compare(bulk, a, b, scale):
    golden = {}
    for unit, got in zip(bulk.units, bulk.run(a, b, scale), strict=True):
        mask = (1 << unit.fmt.width) - 1
        half = 1 << unit.scale_bits >> 1
        low = ((scale + half) & (2 * half - 1)) - half if half else np.zeros_like(scale)
        key = unit.fmt, unit.subnormals, unit.scale_bits
        if key not in golden:
            golden[key] = mul(a & mask, b & mask, unit.fmt, unit.subnormals, low)
        assert_unit(unit, got, golden[key], a & mask, b & mask, low)


@pytest.mark.parametrize("fmt", [FP16, BF16, *SMALL[:4]])
def test_rtl_on_boundaries(bulk, fmt):
    a, b = boundary_pairs(fmt)
    _compare(bulk, a, b, np.random.default_rng(9).integers(-16, 16, a.size))


def test_rtl_on_random(bulk):
    for a, b, scale in random_chunks(16):
        _compare(bulk, a, b, scale)


@pytest.mark.parametrize("fmt", SMALL[:3])
def test_rtl_on_every_pair_and_scale_of_a_small_format(bulk, fmt):
    numbers = np.arange(1 << fmt.width)
    a, b = np.repeat(numbers, numbers.size), np.tile(numbers, numbers.size)
    for scale in range(-8, 8):
        _compare(bulk, a, b, np.full(a.size, scale))


def test_rtl_of_wide_formats(wide):
    rng = np.random.default_rng(9)
    for fmt in (FP32, FloatFormat(6, 13)):
        a, b = boundary_pairs(fmt)
        _compare(wide, a, b, rng.integers(-300, 300, a.size))
    for width in (20, 32):
        for a, b, scale in random_chunks(width):
            _compare(wide, a, b, scale)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("stages", [0, 5, 2.0, True, None])
def test_refuses_stages(stages):
    assert refusal(lambda: FloatMul(FP16, stages, True)).startswith("FloatMul stages must be an integer from 1 to 4")


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("scale_bits", [-1, 11, 2.0, True, None])
def test_refuses_scale_bits(scale_bits):
    sentence = refusal(lambda: FloatMul(FP16, 2, True, scale_bits))
    assert sentence == f"FloatMul scale_bits must be an integer from 0 to 10, not {scale_bits!r}"


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("subnormals", [None, 1, "yes"])
def test_refuses_subnormals(subnormals):
    assert refusal(lambda: FloatMul(FP16, 2, subnormals)).startswith("FloatMul subnormals must be True or False")


def test_latency_is_stages(bulk):
    plain = [unit for unit in bulk.units if unit.fmt == FP16 and not unit.scale_bits]
    assert [unit.latency for unit in plain] == [stages for stages in STAGES for _ in range(2)]
