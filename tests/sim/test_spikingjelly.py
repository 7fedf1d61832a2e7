"""Gradients and spikes of the fast twin and of golden against SpikingJelly's automatic differentiation."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from tests.sim.oracle import Oracle, golden_of
from trident.hw.isa.planes import Planes
from trident.sim.twin import FloatTwin
from trident.snn.data.encoding import plane_values
from trident.snn.network.network import Network
from trident.snn.network.norms import with_norm
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

pytestmark = pytest.mark.oracle

NETWORKS = ("12-16-5", "12-9-8-4", "6x6x2-5c3-4", "7x5x2-4c3s2-3c3s2p0-4", "6x6x1-4c5s2p2-6c1p0-3",
            "8x4x2-4c3-mp2-3c3-5", "9x6x2-6c3-mp3-7", "9x7x2-4c3x2s2x3d2x1-3c1x5s1x3-4",
           "1x20x2-4c1x9s1x4-6c1x3d1x2-3", "12x11x1-3c11s4p5-3c4x3d2x3-3", "6x5x4-6c3g2-dw3s2-4c1g2-3")  # fmt: skip
CASES = [
    (text, reset, surrogate, timesteps, leak)
    for text, reset, surrogate in product(NETWORKS, ("hard", "soft"), ("rectangle", "triangle"))
    for timesteps, leak in ((1, 0.5), (5, 0.75), (8, 0.5))
]

LOSSES = {1: "mse", 5: "count-mse:0.75,0.25", 8: "mse"}  # by timesteps
WEIGHTED = 5  # timesteps where classes have weights and spikes a penalty
PENALTY = 3.0


def _neuron(text: str, timesteps: int, **options) -> NeuronSettings:
    """With a penalty where there can be one: pooled spikes with the surrogate rectangle have none."""
    penalised = timesteps == WEIGHTED and not ("mp" in text and options["surrogate"] == "rectangle")
    return NeuronSettings(**options, spike_penalty=PENALTY if penalised else 0.0)


def _settings(timesteps: int, network: Network) -> TrainSettings:
    weights = ",".join(str(0.5 * n) for n in range(network.classes)) if timesteps == WEIGHTED else ""
    return TrainSettings(timesteps, seed=3, loss=LOSSES[timesteps], class_weights=weights)


@pytest.mark.parametrize("text, reset, surrogate, timesteps, leak", CASES)
def test_spikes_and_gradients_equal_autograd(text, reset, surrogate, timesteps, leak):
    network = Network.parse(text)
    neuron = _neuron(text, timesteps, leak=leak, threshold=0.125, window=0.3, reset=reset, surrogate=surrogate)
    trainer = FloatTwin(network, neuron, _settings(timesteps, network), np.float64)
    rng = np.random.default_rng(7)
    spikes = (rng.random((6, timesteps, *network.in_shape)) < 0.5).astype(np.uint8)
    labels = rng.integers(0, network.classes, 6)

    oracle = Oracle(trainer)
    fired = oracle.differentiate(spikes, labels)

    traces = trainer.forward(spikes)
    for trace, expected in zip(traces, fired):
        np.testing.assert_array_equal(trace.spikes, expected.detach().numpy())
    assert 0 < traces[0].spikes.mean() < 1
    gradients = trainer.gradients(spikes, labels)
    for name, theirs in oracle.gradients().items():
        assert np.abs(theirs).max() > 0
        assert np.linalg.norm(gradients[name] - theirs) <= 1e-6 * np.linalg.norm(theirs)


@pytest.mark.parametrize("text", NETWORKS)
def test_real_values_equal_autograd(text):
    """Signed values of eight bits, the same at every timestep, where the oracle reads them as they are."""
    network = replace(Network.parse(text), planes=Planes(8, -7, True))
    trainer = FloatTwin(network, NeuronSettings(0.75, 0.125, 0.3), TrainSettings(8, seed=3), np.float64)
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 2, (6, 8, *network.in_shape)).astype(np.uint8)
    labels = rng.integers(0, network.classes, 6)
    oracle = Oracle(trainer)
    fired = oracle.differentiate(np.repeat(plane_values(bits, network.planes)[:, None], 8, axis=1), labels)
    for trace, expected in zip(trainer.forward(bits), fired, strict=True):
        assert (trace.spikes == expected.detach().numpy()).all()
    gradients = trainer.gradients(bits, labels)
    for name, theirs in oracle.gradients().items():
        assert np.abs(gradients[name] - theirs).max() <= 1e-9 * np.abs(theirs).max() > 0


@pytest.mark.parametrize("norm", ["ws", "ws:0.25"])
@pytest.mark.parametrize("text", NETWORKS)
def test_standardised_weights_equal_autograd(text, norm):
    """SpikingJelly's WSConv2d and WSLinear, in all layers but the last."""
    network = with_norm(Network.parse(text), norm)
    trainer = FloatTwin(network, NeuronSettings(0.75, 0.125, 0.3), TrainSettings(8, seed=3), np.float64)
    rng = np.random.default_rng(7)
    spikes = (rng.random((6, 8, *network.in_shape)) < 0.5).astype(np.uint8)
    labels = rng.integers(0, network.classes, 6)
    oracle = Oracle(trainer)
    fired = oracle.differentiate(spikes, labels)
    traces = trainer.forward(spikes)
    for trace, expected in zip(traces, fired, strict=True):
        assert (trace.spikes == expected.detach().numpy()).all()
    assert 0 < traces[0].spikes.mean() < 1
    gradients = trainer.gradients(spikes, labels)
    for name, theirs in oracle.gradients().items():
        assert np.abs(gradients[name] - theirs).max() <= 1e-9 * np.abs(theirs).max() > 0


@pytest.mark.parametrize("text, reset, surrogate, timesteps, leak", CASES)
def test_golden_equals_autograd(text, reset, surrogate, timesteps, leak):
    """The golden trainer, in a format of 24 significant bits so that rounding does not hide a wrong formula."""
    network = Network.parse(text)
    neuron = _neuron(text, timesteps, leak=leak, threshold=0.125, window=0.3125, reset=reset, surrogate=surrogate)
    settings = _settings(timesteps, network)
    trainer = FloatTwin(network, neuron, settings, np.float64)
    golden = golden_of(trainer, neuron)
    for name, values in golden.weights.items():
        trainer.weights[name][:] = values
    rng = np.random.default_rng(11)
    spikes = (rng.random((4, timesteps, *network.in_shape)) < 0.5).astype(np.uint8)
    labels = rng.integers(0, network.classes, 4)

    oracle = Oracle(trainer)
    fired = oracle.differentiate(spikes, labels)

    loss = golden.loss_constants(settings.loss_scale)
    (trace,) = golden.train(spikes, labels, loss)
    for ours, theirs in zip(trace.spikes, fired):
        np.testing.assert_array_equal(ours.transpose(3, 0, 1, 2, 4), theirs.detach().numpy())
    for name, expected in oracle.gradients().items():
        assert np.abs(expected).max() > 0
        assert np.linalg.norm(golden.gradients[0][name] - expected) <= 1e-5 * np.linalg.norm(expected)
