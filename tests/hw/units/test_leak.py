"""The leak unit: its RTL against golden, golden against the functions that it rounds."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.leak import Leaks
from trident.snn.neuron_settings import NeuronSettings


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("leak", config, stalls) > 0


@pytest.mark.parametrize("neuron", ["plif", "leaky"])
def test_golden_leaks(neuron):
    """Within two last places of a number below 1; a leaky neuron's programs limit it themselves."""
    parameters = np.linspace(-9, 9, 401).astype(np.float16).astype(np.float32)
    found, fault = Leaks(NeuronSettings(neuron=neuron), CoreConfig(charge=neuron)).of(parameters)
    exact = 1 / (1 + np.exp(parameters.astype(float))) if neuron == "plif" else parameters
    assert np.abs(found - exact).max() <= (2**-10 if neuron == "plif" else 0) and not fault.any()
