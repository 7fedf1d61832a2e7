"""The neuron-gradient unit: its RTL against golden on errors and their masks, golden against numbers by hand."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import SUMS
from trident.hw.isa.neurons import neuron_grad_program
from trident.sim.golden.vector import run_program


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("neuron_grad", config, stalls) > 0


@pytest.mark.parametrize("soft, expected", [(False, [1.0, 2.0, 0.5, 1.0]), (True, [2.125, 2.25, 0.5, 1.0])])
def test_golden_by_hand(soft, expected):
    """leak 1/2: d = [m0 e0 + d1 / 2, m1 e1 + d2 / 2, 0 + d3 / 2, e3]; a hard reset cuts where a neuron fired."""
    e = np.array([1.0, 2.0, 4.0, 1.0], np.float32).reshape(1, 4, 1)
    spikes = np.array([1, 1, 0, 0], np.uint8).reshape(1, 4, 1)
    masks = np.array([1, 1, 0, 1], np.uint8).reshape(1, 4, 1)
    d, one = np.empty_like(e), np.float32(1)
    program = neuron_grad_program("soft" if soft else "hard", "rectangle")
    fault = run_program(program, SUMS, False, {"leak": one / 2}, e, spikes, masks, np.zeros_like(e), d)
    assert d.ravel().tolist() == expected
    assert not fault.any()


def test_golden_triangle_by_hand():
    """threshold 1, window 2: h = 1 - |u - 1| / 2, never below 0."""
    potentials = np.array([1.0, 0.0, 3.5, -1.0, 2.0], np.float32).reshape(1, 1, 5)
    d, one = np.empty_like(potentials), np.float32(1)
    nothing = np.zeros(potentials.shape, np.uint8)
    constants = {"leak": one / 2, "threshold": one, "slope": -one / 2}
    arrays = np.full_like(potentials, 8), nothing, nothing, potentials, d
    run_program(neuron_grad_program("hard", "triangle"), SUMS, False, constants, *arrays)
    assert d.ravel().tolist() == [8.0, 4.0, 0.0, 0.0, 4.0]
