"""Gradients and spikes of the fast twin and of the golden trainer against SpikingJelly's automatic differentiation.

SpikingJelly's LIFNode with ``decay_input=False`` computes ``v = v - (v - v_reset) / tau + x``: leak = 1 - 1/tau. It
fires at ``v >= v_threshold``; ``v_reset=None`` is the soft reset.
"""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from tests.sim.steps import Step
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.planes import Planes
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.twin import FloatTwin
from trident.snn.data.encoding import plane_values
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network, Tensors
from trident.snn.network.norms import with_norm
from trident.snn.settings import NeuronSettings, TrainSettings

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'torch==2.13.0' spikingjelly")
sj_layer, sj_neuron = (
    pytest.importorskip(
        f"spikingjelly.activation_based.{name}",
        reason="spikingjelly is not installed: pip install 'torch==2.13.0' spikingjelly",
    )
    for name in ("layer", "neuron")
)

pytestmark = pytest.mark.oracle

NETWORKS = ("12-16-5", "12-9-8-4", "6x6x2-5c3-4", "7x5x2-4c3s2-3c3s2p0-4", "6x6x1-4c5s2p2-6c1p0-3",
            "8x4x2-4c3-mp2-3c3-5", "9x6x2-6c3-mp3-7")  # fmt: skip
CASES = [
    (text, reset, surrogate, timesteps, leak)
    for text, reset, surrogate in product(NETWORKS, ("hard", "soft"), ("rectangle", "triangle"))
    for timesteps, leak in ((1, 0.5), (5, 0.75), (8, 0.5))
]

LOSSES = {1: "mse", 5: "count-mse:0.75,0.25", 8: "mse"}  # by timesteps
WEIGHTED = 5  # timesteps where classes have weights and spikes a penalty
PENALTY = 3.0


class Oracle(torch.nn.Module):
    """The network of torch and SpikingJelly parts, with the weights of a :class:`FloatTwin`."""

    def __init__(self, trainer: FloatTwin):
        super().__init__()
        self.network, self.loss_scale = trainer.network, trainer.settings.loss_scale
        loss = trainer.settings.losses(self.network.classes)
        self.other, self.label = loss.other, loss.label
        self.weights = torch.tensor(loss.weights or (1.0,) * self.network.classes, dtype=torch.float64)
        settings = trainer.neurons[0]
        self.penalty = settings.spike_penalty
        self.synapses, self.neurons = torch.nn.ModuleList(), torch.nn.ModuleList()
        for layer in trainer.network.layers:
            state = trainer.state["raw" if layer.standardised else "weights"]
            weights, bias = state[layer.weight], trainer.weights[layer.bias_name]
            _, c_in, c_out = weights.shape
            linear, conv, own = torch.nn.Linear, torch.nn.Conv2d, {}
            if layer.standardised:
                linear, conv, own = sj_layer.WSLinear, sj_layer.WSConv2d, {"gain": False, "eps": layer.epsilon}
            if layer.kind == "linear":
                synapse, values = linear(c_in, c_out, **own), weights[0].T
            else:
                synapse = conv(c_in, c_out, layer.kernel, layer.stride, layer.padding, **own)
                values = weights.reshape(layer.kernel, layer.kernel, c_in, c_out).transpose(3, 2, 0, 1)
            synapse.weight = torch.nn.Parameter(torch.tensor(values.copy()))
            synapse.bias = torch.nn.Parameter(torch.tensor(bias.copy()))
            self.synapses.append(synapse)
            self.neurons.append(
                sj_neuron.LIFNode(
                    tau=1 / (1 - settings.leak),
                    decay_input=False,
                    v_threshold=settings.threshold,
                    v_reset=0.0 if settings.reset == "hard" else None,
                    surrogate_function=lambda x: Step.apply(x, settings.window, settings.surrogate),
                    detach_reset=True,
                )
            )

    def forward(self, spikes: np.ndarray) -> list[torch.Tensor]:
        """Spikes (T, B, Y, X, C) of every layer for input ``spikes`` (B, T, Y, X, C)."""
        fired = [[] for _ in self.synapses]
        for t in range(spikes.shape[1]):
            flow = torch.tensor(spikes[:, t].astype(np.float64))
            for i, (layer, synapse) in enumerate(zip(self.network.layers, self.synapses)):
                if layer.kind == "linear":
                    current = synapse(flow.flatten(1))[:, None, None]
                else:
                    current = synapse(flow.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
                flow = self.neurons[i](current)
                fired[i].append(flow)
                flow = self.behind(layer, flow)
        return [torch.stack(steps) for steps in fired]

    def behind(self, layer: Layer, flow: torch.Tensor) -> torch.Tensor:
        """What the layers above read of a layer's spikes (B, Y, X, C) at a timestep."""
        if layer.pool == 1:
            return flow
        return torch.nn.functional.max_pool2d(flow.permute(0, 3, 1, 2), layer.pool).permute(0, 2, 3, 1)

    def differentiate(self, spikes: np.ndarray, labels: np.ndarray) -> list[torch.Tensor]:
        """Spikes, see :meth:`forward`; then backward from the scaled mean squared error of the rates."""
        fired = self(spikes)
        rates = fired[-1].sum(0).flatten(1) / spikes.shape[1]
        onehot = torch.nn.functional.one_hot(torch.tensor(labels), self.network.classes)
        wanted = self.other + (self.label - self.other) * onehot
        losses = ((rates - wanted) ** 2).mean(1) * self.weights[labels]
        for spikes_of_layer in fired[:-1]:
            losses = losses + self.penalty * spikes_of_layer.mean((0, 2, 3, 4))
        (self.loss_scale * losses.sum()).backward()
        return fired

    def gradients(self) -> Tensors:
        """The gradients of all parameters in the layout of the trainer."""
        found = {}
        for layer, synapse in zip(self.network.layers, self.synapses):
            weight = synapse.weight.grad.numpy()
            if layer.kind == "linear":
                weight = weight.T
            else:
                weight = weight.transpose(2, 3, 1, 0)
            found[layer.weight] = weight.reshape(layer.weight_shape)
            found[layer.bias_name] = synapse.bias.grad.numpy()
        return found


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


def golden_of(trainer: FloatTwin, neuron: NeuronSettings | None = None) -> GoldenTrainer:
    """Golden of the same network and settings, by default with the neurons of the last layer everywhere."""
    network, settings, neuron = trainer.network, trainer.settings, neuron or trainer.neurons[-1]
    # What the trainer reads of a configuration; a core's own is held to 16 bits
    fixed = FixedFormat(53, -30)
    cfg = SimpleNamespace(
        format=FloatFormat(8, 23), fixed=fixed, fixed_of=lambda engine: fixed, exact=True, steps=settings.timesteps,
        update_program=CoreConfig().update_program, loss="table", soft_targets=0, multiplier_subnormals=True,
        engine=CoreConfig().engine, neurons=tuple(neuron.at(layer).kind for layer in network.layers), lanes=1,
    )  # fmt: skip
    return GoldenTrainer(network, neuron, cfg, settings.seed, loss=settings.losses(network.classes))


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
