"""The unit of windows of sums: its RTL against golden, golden against PyTorch's definition."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.window import largest


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("window", config, stalls) > 0


@pytest.mark.parametrize("size", [2, 3])
def test_golden_window_by_window(size):
    """The first of the largest, whatever the sign of a zero; pixels of no whole window are never it."""
    sums = np.random.default_rng(size).integers(-2, 3, (2, 2 * size + 1, 3 * size, 4, 3)).astype(np.float32)
    sums[sums == 0] *= -1.0
    found, winners = largest(sums, size, FloatFormat(5, 10))
    assert found.shape == (2, 2, 3, 4, 3) and winners.sum() == found.size and not winners[:, 2 * size :].any()
    for n, y, x, t, c in np.ndindex(found.shape):
        window = sums[n, y * size : (y + 1) * size, x * size : (x + 1) * size, t, c]
        assert found[n, y, x, t, c] == window.max()
        at = np.argmax(window)
        assert winners[n, y * size + at // size, x * size + at % size, t, c]
