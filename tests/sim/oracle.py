"""A network of PyTorch and SpikingJelly parts to compare the fast twin with, and golden in a format without rounding.

SpikingJelly's LIFNode with ``decay_input=False`` computes ``v = v - (v - v_reset) / tau + x``: leak = 1 - 1/tau. It
fires at ``v >= v_threshold``; ``v_reset=None`` is the soft reset.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.sim.steps import Step, torch
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.twin import FloatTwin
from trident.snn.network.layers import Layer
from trident.snn.network.network import Tensors
from trident.snn.neuron_settings import NeuronSettings

REASON = "the oracle extra is not installed"
sj_layer = pytest.importorskip("spikingjelly.activation_based.layer", reason=REASON)
sj_neuron = pytest.importorskip("spikingjelly.activation_based.neuron", reason=REASON)


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
                synapse = conv(c_in * layer.conv_groups, c_out, *layer.kernel, layer.conv_groups, **own)
                values = weights.reshape(*layer.kernel.size, c_in, c_out).transpose(3, 2, 0, 1)
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
