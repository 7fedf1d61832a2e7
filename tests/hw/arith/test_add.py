"""The adder: golden against NumPy and Berkeley SoftFloat, the numba kernel and the RTL against golden, bit for bit."""

import numpy as np
import pytest
import softfloatpy
from numba import njit

from tests.hw.arith.bulk import Bulk
from tests.hw.arith.cases import FULL, assert_same, assert_unit, boundary_pairs, random_chunks, refusal
from trident.hw.arith.add import FloatAdd
from trident.hw.isa.format import BF16, FP16, FloatFormat
from trident.sim.golden.add import add, add_value
from trident.sim.golden.format import fmt_parameters, to_bits, to_values, value_dtype

FP32 = FloatFormat(8, 23)
SMALL = [FloatFormat(4, 3), FloatFormat(5, 2), FloatFormat(2, 1), FloatFormat(3, 12), FloatFormat(6, 13)]
STAGES = range(1, 8)


def _numpy_half(a, b):
    with np.errstate(all="ignore"):
        total = a.astype(np.uint16).view(np.float16) + b.astype(np.uint16).view(np.float16)
    return np.where(np.isnan(total), FP16.nan, total.view(np.uint16))


def test_golden_is_numpy_half():
    for a, b in [boundary_pairs(FP16), *((a, b) for a, b, _ in random_chunks(16))]:
        assert_same(add(a, b, FP16), _numpy_half(a, b), a, b)


def test_golden_is_numpy_single():
    for a, b, _ in random_chunks(32, 300_000):
        with np.errstate(all="ignore"):
            total = a.astype(np.uint32).view(np.float32) + b.astype(np.uint32).view(np.float32)
        assert_same(add(a, b, FP32), np.where(np.isnan(total), FP32.nan, total.view(np.uint32)), a, b)


def test_golden_is_softfloat():
    pairs = [boundary_pairs(FP16), next(random_chunks(16, 1_000_000 if FULL else 50_000))[:2]]
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if not FULL:
        chosen = np.random.default_rng(3).permutation(a.size)[:150_000]
        a, b = a[chosen], b[chosen]
    softfloatpy.set_rounding_mode(softfloatpy.RoundingMode.NEAR_EVEN)
    make, plus = softfloatpy.Float16.from_bytes, softfloatpy.f16_add
    half = [make(n.to_bytes(2, "big")) for n in range(1 << 16)]
    got = np.array([int.from_bytes(plus(half[x], half[y]).to_bytes(), "big")
                    for x, y in zip(a.tolist(), b.tolist(), strict=True)])
    assert_same(add(a, b, FP16), np.where((got & 0x7FFF) > FP16.inf, FP16.nan, got), a, b)


@pytest.mark.parametrize("fmt", [FP16, BF16, FP32, *SMALL])
def test_golden_zeros(fmt):
    x = np.arange(1 << min(fmt.width, 16)) << max(0, fmt.width - 16)
    number = x[(x & fmt.magnitude_mask) <= fmt.inf]
    assert_same(add(number, np.full_like(number, fmt.negative_zero), fmt), number, number)
    assert add(fmt.zero, fmt.negative_zero, fmt) == add(fmt.one, fmt.one | fmt.negative_zero, fmt) == fmt.zero


@njit
def _add_all(a, b, out, p):
    for i in range(a.size):
        out[i] = add_value(a[i], b[i], p)


@pytest.mark.parametrize("fmt", [FP16, BF16, FP32, *SMALL])
@pytest.mark.parametrize("held", [np.float32, np.float64])
def test_value_kernel_is_golden(fmt, held):
    p = fmt_parameters(fmt)
    pairs = [boundary_pairs(fmt), *((a, b) for a, b, _ in random_chunks(fmt.width, 300_000))]
    for a, b in pairs:
        out = np.empty(a.size, value_dtype(fmt))
        _add_all(to_values(a, fmt).astype(held), to_values(b, fmt).astype(held), out, p)
        assert_same(to_bits(out, fmt), add(a, b, fmt), a, b)


@pytest.fixture(scope="module")
def bulk():
    return Bulk([*(FloatAdd(FP16, stages) for stages in STAGES), *(FloatAdd(BF16, stages) for stages in (1, 3, 6)),
                 *(FloatAdd(fmt, 2) for fmt in SMALL if fmt.width <= 16)])


@pytest.fixture(scope="module")
def wide():
    return Bulk([FloatAdd(FP32, 3), FloatAdd(FloatFormat(6, 13), 4)])


def _compare(bulk, a, b):
    golden = {}
    for unit, got in zip(bulk.units, bulk.run(a, b), strict=True):
        mask = (1 << unit.fmt.width) - 1
        if unit.fmt not in golden:
            golden[unit.fmt] = add(a & mask, b & mask, unit.fmt)
        assert_unit(unit, got, golden[unit.fmt], a & mask, b & mask)


@pytest.mark.parametrize("fmt", [FP16, BF16, *SMALL[:4]])
def test_rtl_on_boundaries(bulk, fmt):
    _compare(bulk, *boundary_pairs(fmt))


def test_rtl_on_random(bulk):
    for a, b, _ in random_chunks(16):
        _compare(bulk, a, b)


@pytest.mark.parametrize("fmt", SMALL[:3])
def test_rtl_on_every_pair_of_a_small_format(bulk, fmt):
    numbers = np.arange(1 << fmt.width)
    _compare(bulk, np.repeat(numbers, numbers.size), np.tile(numbers, numbers.size))


def test_rtl_of_wide_formats(wide):
    for fmt in (FP32, FloatFormat(6, 13)):
        _compare(wide, *boundary_pairs(fmt))
    for width in (20, 32):
        for a, b, _ in random_chunks(width):
            _compare(wide, a, b)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("stages", [0, 8, 2.0, True, None])
def test_refuses_stages(stages):
    assert refusal(lambda: FloatAdd(FP16, stages)).startswith("FloatAdd stages must be an integer from 1 to 7")


def test_latency_is_stages(bulk):
    assert [unit.latency for unit in bulk.units if unit.fmt == FP16] == list(STAGES)
