"""The reduce unit with the array that it uses: its RTL against golden row by row, golden against sums of integers."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import SUMS
from trident.sim.golden.reduce import reduce


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("reduce", config, stalls) > 0


def test_golden_of_integers():
    rng = np.random.default_rng(0)
    values, before = (rng.integers(-900, 900, 50).astype(np.float32) for _ in range(2))
    expected = values + before
    found, fault = reduce(values, before, SUMS)
    assert (found == expected).all() and not fault.any()


def test_golden_rounds_once():
    """2048 + 1 lies between two numbers of the format, and rounds to the even one."""
    values = np.array([2048, 2050, 65504], np.float32)
    found, fault = reduce(values, np.array([1, 1, 65504], np.float32), SUMS)
    assert found.tolist() == [2048, 2052, 65504] and fault.tolist() == [False, False, True]
