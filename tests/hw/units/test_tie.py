"""The unit that sums gradients of channels that share a parameter: its RTL against golden."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.sim.golden.tie import tie


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("tie", config, stalls) > 0


def test_golden_is_the_sum():
    assert tie(np.array([1.5, -0.25, 2.0])).tolist() == [3.25] * 3
