"""The update unit: its RTL against golden on weights, momenta and gradients, golden against numbers by hand."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import SUMS
from trident.hw.isa.optimisers import optimiser
from trident.sim.golden.vector import run_program


@pytest.mark.parametrize("config, stalls", [
    *BENCHES, ("lanes2-adam-pruned", 3), pytest.param("lanes4-pruned-bf16", None, marks=pytest.mark.slow),
])  # fmt: skip
def test_against_golden(config, stalls):
    assert check_unit("update", config, stalls) > 0


def update(w, v, g, **constants):
    """One parameter's new weight and momentum, and whether there was a fault."""
    w, v, g = (np.full((1, 1, 1), value, np.float32) for value in (w, v, g))
    fault = run_program(optimiser("sgd"), SUMS, False, constants, g, v, w, v, w)
    return w.item(), v.item(), fault.item()


@pytest.mark.parametrize("scale, weight", [(0, -15.0), (-4, 0.0), (-24, 1.0)])
def test_golden_by_hand(scale, weight):
    """momentum 1/2, v = 2 / 2 + 15 = 16, w = 1 - 2**scale * 16; a rate of 2**-24 is no zero, the weight only rounds."""
    constants = {"momentum": np.float32(0.5), "minus_rate": np.float32(-1), "scale": scale}
    assert update(1.0, 2.0, 15.0, **constants) == (weight, 16.0, False)


def test_golden_fault():
    """A momentum beyond the format's numbers is told."""
    one = np.float32(1)
    _, momentum, fault = update(1.0, 65504.0, 65504.0, momentum=one, minus_rate=-one, scale=0)
    assert fault and np.isinf(momentum)
