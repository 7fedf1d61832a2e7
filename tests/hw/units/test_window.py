"""The unit of windows of sums: its RTL against golden, golden against PyTorch's definition."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.window import largest
from trident.snn.network.windows import Windows


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("window", config, stalls) > 0


@pytest.mark.parametrize("windows", [
    Windows(2, 2), Windows(3, 3), Windows(3, 2, 1), Windows(2, 1, 1), Windows(3, 4, 1),
])  # fmt: skip
def test_golden_window_by_window(windows):
    """The first of the largest, whatever the sign of a zero; pixels beyond the image are never it, however small."""
    size, stride, pad = windows.size, windows.stride, windows.padding
    sums = np.random.default_rng(size).integers(-3, 2, (2, 2 * size + 1, 3 * size, 4, 3)).astype(np.float32)
    sums[sums == 0] *= -1.0
    found, winners = largest(sums, windows, FloatFormat(5, 10))
    assert found.shape[1:3] == windows.shape(sums.shape[1:4])[:2] and winners.shape == found.shape
    padded = np.pad(sums, ((0, 0), (pad, pad), (pad, pad), (0, 0), (0, 0)), constant_values=-np.inf)
    for n, y, x, t, c in np.ndindex(found.shape):
        window = padded[n, y * stride : y * stride + size, x * stride : x * stride + size, t, c]
        assert found[n, y, x, t, c] == window.max() and winners[n, y, x, t, c] == window.argmax()
