"""The join unit: its RTL against golden output by output, golden against PyTorch."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.sim.golden.join import join
from trident.snn.network.windows import Windows


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("join", config, stalls) > 0


@pytest.mark.parametrize("windows", [
    Windows(3, 2, 1), Windows(3, 1, 1), Windows(2, 2, 1), Windows(2, 3), Windows(5, 2, 2),
])  # fmt: skip
def test_golden_is_pytorchs(windows):
    """Which pixel has the error as well, where several of a window fired and where none did."""
    torch = pytest.importorskip("torch")
    spikes = (np.random.default_rng(1).random((3, 7, 8, 5, 2)) < 0.15).astype(np.uint8)
    found, winners = join(spikes, windows)
    flow = torch.tensor(spikes.transpose(0, 3, 4, 1, 2).astype(np.float32)).flatten(0, 1)
    wanted, at = torch.nn.functional.max_pool2d(
        flow, windows.size, windows.stride, windows.padding, return_indices=True
    )
    wanted, at = (value.unflatten(0, (3, -1)).numpy().transpose(0, 3, 4, 1, 2) for value in (wanted, at))
    assert (found == wanted).all() and 0.1 < found.mean() < 0.9
    rows, columns = np.divmod(winners.astype(int), windows.size)
    _, y, x, _, _ = np.indices(found.shape, sparse=True)
    rows, columns = (at * windows.stride - windows.padding + tap for at, tap in ((y, rows), (x, columns)))
    assert (rows * spikes.shape[2] + columns == at).all()
