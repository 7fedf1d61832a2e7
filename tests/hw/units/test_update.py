"""The update unit: its RTL against golden on weights, momenta and gradients, golden against numbers by hand."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import SUMS
from trident.sim.golden.update import update


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("update", config, stalls) > 0


@pytest.mark.parametrize("scale, weight", [(0, -15.0), (-4, 0.0), (-24, 1.0)])
def test_golden_by_hand(scale, weight):
    """momentum 1/2, v = 2 / 2 + 15 = 16, w = 1 - 2**scale * 16; a rate of 2**-24 is no zero, the weight only rounds."""
    weights, momenta, gradients = (np.array([value], np.float32) for value in (1.0, 2.0, 15.0))
    half, minus_one = np.float32(0.5), np.float32(-1)
    fault = update(weights, momenta, gradients, half, minus_one, scale, False, SUMS.parameters)
    assert (weights[0], momenta[0], gradients[0]) == (weight, 16.0, 0.0)
    assert not fault


def test_golden_fault():
    """A momentum beyond the format's numbers is told."""
    weights, momenta, gradients = (np.array([value], np.float32) for value in (1.0, 65504.0, 65504.0))
    one = np.float32(1)
    assert update(weights, momenta, gradients, one, -one, 0, False, SUMS.parameters)
    assert np.isinf(momenta[0])
