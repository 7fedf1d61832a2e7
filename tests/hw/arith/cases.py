"""Operands for the tests of arithmetic: every pair of exponents with boundary fractions, specials, and random ones."""

import gc
import os

import numpy as np

from trident.hw.errors import TridentError

FULL = os.environ.get("TRIDENT_EXHAUSTIVE") == "1"

PAIRS = 10_000_000 if FULL else 300_000
"""Random pairs per operation."""

_CHUNK = 1_000_000


def boundary(fmt):
    """Raw bits of both signs, every exponent code, and the fractions where rounding and carries change."""
    ones = fmt.min_normal - 1
    fractions = {0, 1, 2, 3, ones, ones - 1, ones >> 1, (ones >> 1) + 1, ones // 3}
    fractions = np.array(sorted(f for f in fractions if 0 <= f <= ones))
    codes = np.arange((fmt.inf >> fmt.frac) + 1) << fmt.frac
    magnitudes = (codes[:, None] | fractions).ravel()
    return np.concatenate([magnitudes, magnitudes | fmt.negative_zero])


def boundary_pairs(fmt):
    """Every pair of `boundary` numbers: two arrays; for formats of many exponents a seeded 400,000 of them."""
    numbers = boundary(fmt)
    if numbers.size ** 2 <= 400_000 or FULL:
        return np.repeat(numbers, numbers.size), np.tile(numbers, numbers.size)
    rng = np.random.default_rng(7)
    return rng.choice(numbers, 400_000), rng.choice(numbers, 400_000)


def random_chunks(width, pairs=PAIRS, seed=1):
    """Chunks of (a, b, scale): raw bits of a width, scales of -512 to 511; in half of the pairs b is near a or -a."""
    rng = np.random.default_rng(seed)
    while pairs > 0:
        count = min(pairs, _CHUNK)
        pairs -= count
        a = rng.integers(0, 1 << width, count)
        b = rng.integers(0, 1 << width, count)
        near = (a + (rng.standard_normal(count) * (1 << width) / 30).astype(np.int64)) ^ (b & 1 << (width - 1))
        scale = np.where(rng.random(count) < 0.5, rng.integers(-24, 25, count), rng.integers(-512, 512, count))
        yield a, np.where(rng.random(count) < 0.5, b, near & ((1 << width) - 1)), scale


def assert_same(got, expected, *operands):
    """Fails unless two arrays of raw bits are equal and not empty; names the first operands that differ."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.size > 0 and got.shape == expected.shape
    wrong = np.flatnonzero(got != expected)
    if wrong.size:
        first = wrong[0]
        shown = ", ".join(hex(x[first]) if x[first] >= 0 else str(x[first]) for x in operands)
        raise AssertionError(
            f"{wrong.size} of {got.size} differ; first ({shown}): got {got[first]:#x}, expected {expected[first]:#x}")


def assert_unit(unit, got, expected, *operands):
    """`assert_same` for what a unit of a Bulk run returned, and its nonfinite flag."""
    result, nonfinite = got
    name = f"{type(unit).__name__} of {unit.fmt}, {unit.latency} stages"
    try:
        assert_same(result, expected, *operands)
        assert_same(nonfinite.astype(np.int64), ((expected & unit.fmt.inf) == unit.fmt.inf).astype(np.int64), *operands)
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}") from None


def refusal(build):
    """The sentence with which a constructor refuses its arguments; the object is gone when this returns."""
    try:
        build()
    except TridentError as error:
        sentence = str(error)
        error.__traceback__ = None
        gc.collect()
        return sentence
    raise AssertionError("nothing was refused")
