"""The unit that gives errors of windows to their largest pixels: its RTL against golden, golden window by window."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.spread import spread_errors
from trident.sim.golden.sums import Sums
from trident.sim.golden.window import first_largest
from trident.snn.network.windows import Windows

HALF = Sums(FloatFormat(5, 10), FixedFormat(48, -24))


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("spread", config, stalls) > 0


@pytest.mark.parametrize("windows", [
    Windows(2, 2), Windows(3, 2, 1), Windows(3, 1, 1), Windows(2, 3, 1), Windows(5, 2, 2),
])  # fmt: skip
def test_golden_window_by_window(windows):
    """The exact sum of all that chose a pixel, rounded once; 0 at the others."""
    rng, shape = np.random.default_rng(1), (7, 8, 3)
    winners = first_largest(rng.integers(1, 9, (2, *shape[:2], 4, shape[2])), windows)
    errors = HALF.round(rng.normal(size=winners.shape) * 2.0 ** rng.integers(-8, 3, winners.shape))
    found, fault = spread_errors(errors, winners, windows, shape, HALF)
    wanted = np.zeros((2, *shape[:2], 4, shape[2]))
    for n, y, x, t, c in np.ndindex(errors.shape):
        row, column = divmod(int(winners[n, y, x, t, c]), windows.size)
        row, column = (at * windows.stride - windows.padding + tap for at, tap in ((y, row), (x, column)))
        wanted[n, row, column, t, c] += errors[n, y, x, t, c]
    assert (found == HALF.round(wanted)).all() and not fault.any()


def test_errors_that_are_too_large_are_faults_of_their_samples():
    windows, winners = Windows(3, 2, 1), np.zeros((3, 2, 2, 1, 1), np.uint8)
    winners += first_largest(np.ones((3, 4, 4, 1, 1), np.int64), windows)
    errors = np.zeros(winners.shape, np.float32)
    errors[1, 0, 0], errors[2] = np.inf, 65504.0
    winners[2] = [[[[8]], [[6]]], [[[2]], [[0]]]]  # all four at the pixel that they share
    found, fault = spread_errors(errors, winners, windows, (4, 4, 1), HALF)
    assert fault.tolist() == [False, True, True]
    assert not found[1].any() and np.isinf(found[2, 1, 1, 0, 0]) and np.isfinite(found[2]).sum() == 15
