"""The adder: golden against NumPy and Berkeley SoftFloat, the numba kernel and the RTL against golden, bit for bit."""

import numpy as np
import pytest
import softfloatpy
from numba import njit

from tests.hw.arith.bulk import Bulk
from tests.hw.arith.cases import FULL, assert_same, assert_unit, boundary_pairs, random_chunks, refusal
from trident.hw.arith.add import FloatAdd
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import BF16, FP16, FloatFormat
from trident.sim.golden.add import add, add_value
from trident.sim.golden.format import fmt_parameters, to_bits, to_values, value_dtype

SMALL = [FloatFormat(4, 3), FloatFormat(5, 2), FloatFormat(2, 1), FloatFormat(3, 12)]
STAGES = range(1, 5)
HALF = FixedFormat(48, -24)


def _fixed(fmt):
    """48 bits, from the format's least number or 2**-24 on."""
    return FixedFormat(48, max(-24, 1 - fmt.bias - fmt.frac))


def _usual(total, a, b):
    """A sum of half-precision floats as this adder gives it: +0 for -0, +infinity beside an infinity or a NaN."""
    special = (a & FP16.inf == FP16.inf) | (b & FP16.inf == FP16.inf)
    return np.where(special, FP16.inf, np.where(total == FP16.negative_zero, 0, total))


def _numpy_half(a, b):
    with np.errstate(all="ignore"):
        total = a.astype(np.uint16).view(np.float16) + b.astype(np.uint16).view(np.float16)
    return _usual(total.view(np.uint16), a, b)


def test_golden_is_numpy_half():
    for a, b in [boundary_pairs(FP16), *((a, b) for a, b, _ in random_chunks(16))]:
        assert_same(add(a, b, FP16, HALF), _numpy_half(a, b), a, b)


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
    assert_same(add(a, b, FP16, HALF), _usual(got, a, b), a, b)


@pytest.mark.parametrize("fmt", [FP16, *SMALL])
def test_golden_zeros(fmt):
    x = np.arange(1 << fmt.width)
    number = x[(x & fmt.magnitude_mask) < fmt.inf]
    expected = np.where(number == fmt.negative_zero, 0, number)
    assert_same(add(number, np.full_like(number, fmt.negative_zero), fmt, _fixed(fmt)), expected, number)
    assert add(fmt.one, fmt.one | fmt.negative_zero, fmt, _fixed(fmt)) == fmt.zero


def test_golden_rounds_terms_to_the_last_place():
    """bfloat16 has numbers far below 2**-24: half of it is lost, three quarters become one; 2**23 is too large."""
    x = [to_bits(value, BF16) for value in (2.0**-25, 0.75 * 2.0**-24, 1.5 * 2.0**-24, 2.0**21, 2.0**23)]
    total = [float(to_values(add(value, BF16.zero, BF16, _fixed(BF16)), BF16)) for value in x]
    assert total == [0, 2.0**-24, 2.0**-23, 2.0**21, np.inf]


@njit
def _add_all(a, b, out, p):
    for i in range(a.size):
        out[i] = add_value(a[i], b[i], p)


@pytest.mark.parametrize("fmt", [FP16, BF16, *SMALL])
@pytest.mark.parametrize("held", [np.float32, np.float64])
def test_value_kernel_is_golden(fmt, held):
    p = fmt_parameters(fmt, _fixed(fmt))
    pairs = [boundary_pairs(fmt), *((a, b) for a, b, _ in random_chunks(fmt.width, 300_000))]
    for a, b in pairs:
        out = np.empty(a.size, value_dtype(fmt))
        _add_all(to_values(a, fmt).astype(held), to_values(b, fmt).astype(held), out, p)
        assert_same(to_bits(out, fmt), add(a, b, fmt, _fixed(fmt)), a, b)


@pytest.fixture(scope="module")
def bulk():
    return Bulk([*(FloatAdd(FP16, HALF, stages) for stages in STAGES),
                 *(FloatAdd(BF16, _fixed(BF16), stages) for stages in (1, 3)),
                 *(FloatAdd(fmt, _fixed(fmt), 2) for fmt in SMALL)])


def _compare(bulk, a, b):
    golden = {}
    for unit, got in zip(bulk.units, bulk.run(a, b), strict=True):
        mask = (1 << unit.fmt.width) - 1
        if unit.fmt not in golden:
            golden[unit.fmt] = add(a & mask, b & mask, unit.fmt, _fixed(unit.fmt))
        assert_unit(unit, got, golden[unit.fmt], a & mask, b & mask)


@pytest.mark.parametrize("fmt", [FP16, BF16, *SMALL])
def test_rtl_on_boundaries(bulk, fmt):
    _compare(bulk, *boundary_pairs(fmt))


def test_rtl_on_random(bulk):
    for a, b, _ in random_chunks(16):
        _compare(bulk, a, b)


@pytest.mark.parametrize("fmt", SMALL[:3])
def test_rtl_on_every_pair_of_a_small_format(bulk, fmt):
    numbers = np.arange(1 << fmt.width)
    _compare(bulk, np.repeat(numbers, numbers.size), np.tile(numbers, numbers.size))


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("stages", [0, 5, 2.0, True, None])
def test_refuses_stages(stages):
    assert refusal(lambda: FloatAdd(FP16, HALF, stages)).startswith("Round stages must be an integer from 1 to 4")


def test_latency_is_stages(bulk):
    assert [unit.latency - 2 for unit in bulk.units if unit.fmt == FP16] == list(STAGES)
