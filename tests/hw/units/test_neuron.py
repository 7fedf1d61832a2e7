"""The neuron unit: its RTL against golden on spikes, masks and potentials, golden against numbers by hand."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import SUMS as EXACT
from trident.hw.isa.neurons import neuron_program
from trident.sim.golden.vector import run_program


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("neuron", config, stalls) > 0


# threshold 1, leak 1/2, surrogate within 0 and 2; sums, then what soft and hard reset make of them
SUMS = [0.5, 0.75, 1.0, -1.0, 2.0]
HARD = [(0.5, 0, 1), (1.0, 1, 1), (1.0, 1, 1), (-1.0, 0, 0), (1.5, 1, 1)]
SOFT = [(0.5, 0, 1), (1.0, 1, 1), (1.0, 1, 1), (-1.0, 0, 0), (1.5, 1, 1)]


@pytest.mark.parametrize("soft", [False, True])
def test_golden_by_hand(soft):
    x = np.array([*SUMS, 3.0, 0.25], np.float32).reshape(1, -1, 1)
    spikes, masks = np.empty(x.shape, np.uint8), np.empty(x.shape, np.uint8)
    potentials = np.empty(x.shape, np.float32)
    one = np.float32(1)
    constants = {"leak": one / 2, "threshold": one, "low": one * 0, "high": one * 2}
    program = neuron_program("soft" if soft else "hard")
    fault = run_program(program, EXACT, False, constants, x, spikes, masks, potentials)
    # after 1.5: hard leaves 0, soft 0.5; after 3.0 and 3.25: hard 0, soft 2.25
    after = [(3.25, 1, 0), (1.375, 1, 1)] if soft else [(3.0, 1, 0), (0.25, 0, 1)]
    expected = (SOFT if soft else HARD) + after
    assert list(zip(potentials.ravel(), spikes.ravel(), masks.ravel(), strict=True)) == expected
    assert not fault.any()
