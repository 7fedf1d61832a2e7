"""The activity of a network: what the golden model fires, in statistics and sample by sample."""

import numpy as np
import pytest

from trident.host.mapping.activity import measure, measure_data
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.data.dataset import load
from trident.snn.data.encoding import encode
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

CFG = CoreConfig.preset("FPGA")
NETWORK = Network.parse("8x8x1-4c3s2-6c3-10")
NEURON = NeuronSettings(threshold=0.3, window=0.6)


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_is_what_golden_fires(digits):
    spikes, _ = encode(digits, NETWORK, CFG.timesteps)
    activity = measure(NETWORK, CFG, NEURON, spikes[:3], digits.train_labels[:3], seed=5)
    golden = GoldenTrainer(NETWORK, NEURON, CFG, seed=5)
    assert activity.samples == 3 and len(activity.layers) == 3
    for sample in range(3):
        trace = next(golden.infer(spikes[sample : sample + 1])).sample(0)
        for n, layer in enumerate(activity.layers):
            np.testing.assert_array_equal(layer.inputs[sample], trace.inputs[n])
            np.testing.assert_array_equal(layer.spikes[sample], trace.spikes[n])


def test_shapes_and_rates(digits):
    activity = measure_data(NETWORK, CFG, NEURON, digits, count=2)
    first, second, last = activity.layers
    assert first.inputs.shape == (2, 8, 8, 4, 1) and first.spikes.shape == (2, 4, 4, 4, 4)
    assert second.errors.shape == (2, 4, 4, 4, 6) and last.inputs.shape == (2, 1, 1, 4, 96)
    for layer in activity.layers:
        assert 0 < layer.firing_rate < 1 and 0 < layer.error_rate <= 1
        assert layer.channel_rates.mean() == pytest.approx(layer.firing_rate)
        assert layer.channel_error_rates.mean() == pytest.approx(layer.error_rate)


def test_errors_are_golden_s(digits):
    spikes, _ = encode(digits, NETWORK, CFG.timesteps)
    activity = measure(NETWORK, CFG, NEURON, spikes[:1], digits.train_labels[:1])
    # Every neuron of the last layer that is within the window and off its target has an error
    assert set(np.unique(activity.layers[0].errors)) <= {0, 1}
    assert activity.layers[2].errors.any() and activity.layers[0].errors.any()


def test_weights_can_be_given(digits):
    zeros = {name: np.zeros(shape) for name, shape in NETWORK.tensors.items()}
    activity = measure_data(NETWORK, CFG, NEURON, digits, count=1, weights=zeros)
    assert all(layer.firing_rate == 0 for layer in activity.layers)


def test_same_seed_same_activity(digits):
    one, two = (measure_data(NETWORK, CFG, NEURON, digits, count=1, seed=3) for _ in range(2))
    for a, b in zip(one.layers, two.layers, strict=True):
        np.testing.assert_array_equal(a.errors, b.errors)


def test_refuses_no_samples(digits):
    with pytest.raises(TridentError, match="needs at least 1 sample, not 0"):
        measure_data(NETWORK, CFG, NEURON, digits, count=0)
