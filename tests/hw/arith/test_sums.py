"""Terms and rounding of exact sums: the RTL against integers and NumPy, over every exponent and every float."""

import numpy as np
import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.hw.arith.bulk import Bulk
from tests.hw.arith.cases import assert_same
from trident.hw.arith.align import Align
from trident.hw.arith.sums import Round
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import BF16, FP16, FloatFormat
from trident.sim.golden.format import to_bits, to_values

WIDE = FloatFormat(8, 23)  # whose ports carry 32 bits of a sum
FORMATS = [
    (FP16, FixedFormat(48, -24)), (FP16, FixedFormat(42, -24)), (BF16, FixedFormat(48, -24)),
    (FloatFormat(4, 2), FixedFormat(24, -8)), (FloatFormat(3, 12), FixedFormat(17, -14)), (FP16, FixedFormat(53, -20)),
]  # fmt: skip

ROUNDED = [*FORMATS, (WIDE, FixedFormat(48, -40))]  # the last one makes the ports wide


class _Rounds(wiring.Component):
    """A Round whose sum comes as two words."""

    def __init__(self, fmt, fixed, stages):
        self.unit, self.latency = Round(fmt, fixed, stages), stages
        self.fmt, self.fixed = fmt, fixed
        super().__init__({"a": In(32), "b": In(32), "o": Out(fmt.width), "nonfinite": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self.unit
        m.d.comb += [unit.i.eq(Cat(self.a, self.b)), self.o.eq(unit.o), self.nonfinite.eq(unit.nonfinite)]
        return m


class _Aligns(wiring.Component):
    """An Align whose term comes as a word: the low places, or the high ones and the sign. ``b``: whether it is added,
    and the power of two behind that."""

    latency = 1
    fmt = WIDE

    def __init__(self, fmt, fixed, high, shifts=False):
        self.unit, self.inner, self.fixed, self.high = Align(fmt, fixed, shifts), fmt, fixed, high
        super().__init__({"a": In(32), "b": In(32), "o": Out(32), "nonfinite": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self.unit
        word = Cat(unit.magnitude, unit.sign) >> (len(unit.magnitude) // 2 if self.high else 0)
        m.d.comb += [unit.i.eq(self.a), unit.add.eq(self.b[0]), unit.shift.eq(self.b[1:])]
        m.d.sync += [self.o.eq(word[: None if self.high else len(unit.magnitude) // 2]), self.nonfinite.eq(0)]
        return m


def _sums(fixed: FixedFormat) -> np.ndarray:
    """Integers with their leading one in every place, and what lies around the ties of each; and random ones."""
    rng = np.random.default_rng(fixed.bits)
    found = [np.arange(-70, 71)]
    for place in range(fixed.bits - 1):
        one = np.int64(1) << place
        for below in range(max(place - 13, 0), place):
            half = np.int64(1) << below
            found += [one + half + np.arange(-2, 3), one + 3 * half + np.arange(-2, 3), 2 * one - half + [-1, 0, 1]]
        found.append(one + rng.integers(0, one, 400))
    sums = np.concatenate(found)
    sums = np.concatenate([sums, -sums])
    return sums[np.abs(sums) < 1 << (fixed.bits - 1)]


@pytest.fixture(scope="module")
def rounds():
    return Bulk([_Rounds(fmt, fixed, stages) for fmt, fixed in ROUNDED for stages in (1, 2, 3, 4)])


@pytest.mark.parametrize("fmt, fixed", ROUNDED)
def test_rounding(rounds, fmt, fixed):
    sums = _sums(fixed)
    expected = to_bits(sums * 2.0**fixed.place, fmt)
    if fmt == FP16:
        with np.errstate(over="ignore"):
            assert_same((sums * 2.0**fixed.place).astype(np.float16).view(np.uint16), expected, sums)
    seen = 0
    for unit, (got, infinite) in zip(rounds.units, rounds.run(sums & 0xFFFFFFFF, sums >> 32 & 0xFFFFFFFF), strict=True):
        if (unit.fmt, unit.fixed) == (fmt, fixed):
            assert_same(got, expected, sums)
            assert_same(infinite.astype(int), ((expected & fmt.inf) == fmt.inf).astype(int), sums)
            seen += 1
    assert seen == 4


@pytest.fixture(scope="module")
def aligns():
    return Bulk([_Aligns(fmt, fixed, high) for fmt, fixed in FORMATS for high in (False, True)])


@pytest.mark.parametrize("fmt, fixed", FORMATS)
def test_terms(aligns, fmt, fixed):
    """Every float that fits, added or not."""
    bits = np.arange(1 << fmt.width)
    bits = bits[(bits & fmt.inf) >> fmt.frac < fixed.limit(fmt, 1)]
    expected = np.rint(np.abs(to_values(bits, fmt)) * 2.0**-fixed.place).astype(np.int64)
    for add in (0, 1):
        low, high = (
            word.astype(np.int64)
            for unit, (word, _) in zip(aligns.units, aligns.run(bits, np.full_like(bits, add)), strict=True)
            if (unit.inner, unit.fixed) == (fmt, fixed)
        )
        places = fixed.magnitude_bits(fmt)
        term = high << places // 2 | low
        assert_same(term & ((1 << places) - 1), expected * add, bits)
        assert_same(term >> places, bits >> (fmt.width - 1), bits)


@pytest.fixture(scope="module")
def shifting():
    return Bulk([_Aligns(fmt, fixed, high, True) for fmt, fixed in FORMATS for high in (False, True)])


@pytest.mark.parametrize("fmt, fixed", FORMATS)
def test_terms_of_planes(shifting, fmt, fixed):
    """Every float that fits, times every power of two that planes count for."""
    every = np.arange(1 << fmt.width)
    every = every[(every & fmt.inf) != fmt.inf]
    bits, shifts = (part.ravel() for part in np.meshgrid(every, np.arange(-8, 8)))
    code = np.maximum((bits & fmt.inf) >> fmt.frac, 1) + shifts
    bits, shifts = bits[code < fixed.limit(fmt, 1)], shifts[code < fixed.limit(fmt, 1)]
    expected = np.rint(np.abs(to_values(bits, fmt)) * 2.0 ** (shifts - fixed.place)).astype(np.int64)
    low, high = (
        word.astype(np.int64)
        for unit, (word, _) in zip(shifting.units, shifting.run(bits, 1 | (shifts & 15) << 1), strict=True)
        if (unit.inner, unit.fixed) == (fmt, fixed)
    )
    places = fixed.magnitude_bits(fmt)
    term = high << places // 2 | low
    assert_same(term & ((1 << places) - 1), expected, bits)
    assert_same(term >> places, bits >> (fmt.width - 1), bits)


@pytest.mark.parametrize("fmt, fixed", FORMATS)
@pytest.mark.parametrize("terms", [1, 2, 3, 64, 65, 1000])
def test_limits(fmt, fixed, terms):
    """So many of the largest numbers below the limit never leave the range, beside a number of a quarter of it."""
    limit = fixed.limit(fmt, terms, room=1)
    if limit > 0:
        largest = float(to_values((limit << fmt.frac) - 1, fmt)) * 2.0**-fixed.place
        assert terms * largest + (1 << (fixed.bits - 2)) <= 1 << (fixed.bits - 1)
    assert fixed.limit(fmt, terms) <= fmt.inf >> fmt.frac
