"""The pool unit: its RTL against golden output by output, golden against PyTorch's definition."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.sim.golden.pool import count, of_windows, pool, spread, windows_of


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("pool", config, stalls) > 0


@pytest.mark.parametrize("size", [2, 3])
def test_golden_window_by_window(size):
    """The first that fired has the error, or the first where none did; other masks are cleared."""
    rng = np.random.default_rng(size)
    spikes, masks = ((rng.random((2, 2 * size, 3 * size, 4, 3)) < share).astype(np.uint8) for share in (0.2, 0.8))
    pooled, left = pool(spikes, masks, size)
    kept = np.zeros_like(masks)
    for n, y, x, t, c in np.ndindex(pooled.shape):
        at = [(y * size + j, x * size + i) for j in range(size) for i in range(size)]
        fired = [place for place in at if spikes[n, *place, t, c]]
        assert pooled[n, y, x, t, c] == bool(fired)
        where = (n, *(fired or at)[0], t, c)
        kept[where] = masks[where]
    assert (left == kept).all() and 0 < pooled.mean() < 1


@pytest.mark.parametrize("size", [2, 3])
def test_golden_counts(size):
    """In binary, the lowest bit first."""
    spikes = (np.random.default_rng(size).random((2, 2 * size, size, 3, 4)) < 0.6).astype(np.uint8)
    bits = count(spikes, size).reshape(2, 2, 1, 3, -1, 4)
    found = (bits << np.arange(bits.shape[4])[:, None]).sum(axis=4)
    assert (found == spikes.reshape(2, 2, size, 1, size, 3, 4).sum(axis=(2, 4))).all() and found.max() > 3


def test_windows_and_back():
    images = np.arange(2 * 4 * 6 * 2 * 3).reshape(2, 4, 6, 2, 3)
    assert (of_windows(windows_of(images, 2), 2) == images).all()
    assert (spread(images, 2)[:, ::2, 1::2] == images).all()
