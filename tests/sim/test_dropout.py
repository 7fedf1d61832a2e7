"""Dropout of the fast twin and of golden against SpikingJelly's, which is given what they drop."""

from itertools import product

import numpy as np
import pytest

from tests.cocotb.placing import OPTIMISED
from tests.sim.oracle import Oracle, golden_of, sj_layer, torch
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.optimisers import optimiser
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.drop import kept, layer_key
from trident.sim.twin import FloatTwin
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

pytestmark = pytest.mark.oracle

NETWORKS = ("12-40-drop0.5-5", "12-60-drop0.875-20-drop-4", "12-60-drop0.2-20-drop0.1-4",
            "7x5x2-6c3s2-drop0.4-5c3s2p0-drop-4", "8x4x2-6c3-mp2-drop0.15-3c3-5", "7x5x2-6c3s2-drop-5c3s2p0-drop0.75-4",
            "8x4x2-6c3-mp2-drop-3c3-5", "9x6x2-6c3-mp3-drop0.75-20-drop-7")  # fmt: skip
NEURONS = (("hard", "rectangle"), ("soft", "rectangle"), ("hard", "triangle"))
CASES = [(text, *neuron) for text, neuron in product(NETWORKS, NEURONS)]
STEPS, MINIBATCH = 6, 5


class Dropping(Oracle):
    """With SpikingJelly's Dropout, in its state behind the first timestep of a minibatch."""

    def __init__(self, trainer: FloatTwin, samples: int):
        super().__init__(trainer)
        self.dropouts, settings = torch.nn.ModuleDict(), trainer.settings
        for layer in trainer.network.drops:
            key = layer_key(settings.seed, trainer.updates, layer.number)
            left = kept(key, layer.drop, np.arange(samples), layer.pooled_shape)
            self.dropouts[layer.node] = dropout = sj_layer.Dropout(layer.drop)
            dropout.mask = torch.tensor(left / (1 - dropout.p))

    def behind(self, layer: Layer, flow: torch.Tensor) -> torch.Tensor:
        flow = super().behind(layer, flow)
        return self.dropouts[layer.node](flow) if layer.drop else flow


def neuron_of(reset: str, surrogate: str, window: float) -> NeuronSettings:
    """With a penalty of spikes where a dropout allows one."""
    return NeuronSettings(0.75, 0.125, window, reset, surrogate, spike_penalty=3.0 * (surrogate != "rectangle"))


def _trainer(text: str, reset: str, surrogate: str, window: float) -> FloatTwin:
    neuron = neuron_of(reset, surrogate, window)
    trainer = FloatTwin(Network.parse(text), neuron, TrainSettings(STEPS, seed=3), np.float64)
    trainer.updates = MINIBATCH
    return trainer


def _stimulus(network: Network, samples: int):
    rng = np.random.default_rng(7)
    spikes = (rng.random((samples, STEPS, *network.in_shape)) < 0.5).astype(np.uint8)
    return spikes, rng.integers(0, network.classes, samples)


@pytest.mark.parametrize("text, reset, surrogate", CASES)
def test_spikes_and_gradients_equal_autograd(text, reset, surrogate):
    """The twin, to 1e-9 of the largest gradient; in inference nothing is dropped."""
    trainer = _trainer(text, reset, surrogate, 0.3)
    spikes, labels = _stimulus(trainer.network, 8)
    oracle = Dropping(trainer, 8)
    fired = oracle.differentiate(spikes, labels)
    for trace, expected in zip(trainer.forward(spikes, training=True), fired, strict=True):
        assert (trace.spikes == expected.detach().numpy()).all() and 0 < trace.spikes.mean() < 1
    gradients = trainer.gradients(spikes, labels)
    for name, theirs in oracle.gradients().items():
        assert np.abs(gradients[name] - theirs).max() <= 1e-9 * np.abs(theirs).max() > 0
    for neuron in oracle.neurons:
        neuron.reset()
    tested = oracle.eval()(spikes)
    for trace, expected in zip(trainer.forward(spikes), tested, strict=True):
        assert (trace.spikes == expected.detach().numpy()).all()


@pytest.mark.parametrize("text, reset, surrogate", CASES)
def test_golden_equals_autograd(text, reset, surrogate):
    """In a format of 24 significant bits, so that rounding does not hide a wrong formula."""
    trainer = _trainer(text, reset, surrogate, 0.3125)
    golden = golden_of(trainer, neuron_of(reset, surrogate, 0.3125))
    golden.minibatch = MINIBATCH
    held = trainer.network.held
    for name, values in golden.weights.items():
        trainer.weights[name][:] = values / held.get(name, 1)
    spikes, labels = _stimulus(trainer.network, 5)
    oracle = Dropping(trainer, 5)
    fired = oracle.differentiate(spikes, labels)
    traces = list(golden.train(spikes, labels, golden.loss_constants(trainer.settings.loss_scale), at_once=2))
    for n, expected in enumerate(fired):
        ours = np.concatenate([trace.spikes[n] for trace in traces])
        assert (ours.transpose(3, 0, 1, 2, 4) == expected.detach().numpy()).all()
    for name, expected in oracle.gradients().items():  # by what is held, which is more than the weights
        found = golden.gradients[0][name] * held.get(name, 1)
        assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected) > 0
    (tested,) = golden.infer(spikes)
    assert (golden.counts(tested) == trainer.infer(spikes)).all()


@pytest.mark.parametrize("name", OPTIMISED)
@pytest.mark.parametrize("factor", [1.25, 3.0])
def test_updates_of_weights_that_are_held_for_training(name, factor):
    """A step of weights times a factor, with gradients by these, is that of the weights, times the factor."""
    settings, program = TrainSettings(batch=16, learning_rate=0.01, **OPTIMISED[name]), optimiser(name)
    wide, ends = FloatFormat(8, 23), []
    for held in (1.0, factor):
        kept = {short: np.zeros((1, 50)) for short in program.inputs if short not in "gw"}
        kept["w"], rng = np.random.default_rng(1).normal(size=(1, 50)) * held, np.random.default_rng(2)
        for number in range(1, 6):
            constants = UpdateConstants(given=settings.numbers(0.01, 256, number)).held(held, program, wide)
            kept = program.run(constants.given, g=rng.normal(size=(1, 50)) * 256 * 16 / held, **kept)
        ends.append(kept["w"] / held)
    assert np.abs(ends[1] - ends[0]).max() <= 1e-12


def test_other_minibatches_drop_others():
    trainer = _trainer(NETWORKS[0], "hard", "rectangle", 0.3)
    spikes, labels = _stimulus(trainer.network, 8)
    oracle = Dropping(trainer, 8)
    trainer.updates += 1
    oracle.differentiate(spikes, labels)
    gradients = trainer.gradients(spikes, labels)
    assert all(np.abs(gradients[name] - theirs).max() > 1e-3 for name, theirs in oracle.gradients().items())
