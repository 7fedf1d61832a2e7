"""The unit that gives errors of windows to their largest sums: its RTL against golden, golden window by window."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.sim.golden.spread import spread_errors


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("spread", config, stalls) > 0


def test_golden_window_by_window():
    rng = np.random.default_rng(1)
    errors, winners = rng.normal(size=(2, 2, 3, 4, 2)), (rng.random((2, 5, 7, 4, 2)) < 0.3).astype(np.uint8)
    spread = spread_errors(errors, winners, 2)
    for n, y, x, t, c in np.ndindex(spread.shape):
        own = errors[n, y // 2, x // 2, t, c] if y < 4 and x < 6 else 0
        assert spread[n, y, x, t, c] == own * winners[n, y, x, t, c]
