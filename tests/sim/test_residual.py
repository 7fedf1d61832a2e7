"""Residual networks: gradients of the fast twin against PyTorch's, and golden's against the twin's."""

import numpy as np
import pytest

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_bits
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.twin import FloatTwin
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

TEXTS = ("6x6x2-4c3-sew4-5", "6x6x2-4c3-sew4-sew4-sew6s2-sew6-5", "8x4x1-3c3-mp2-sew3-4c3s2-sew5-4",
         "4x4x2-4c3-gap-5", "8x8x1-3c3-ap2-sew3-sew4s2-gap-6-4")  # fmt: skip


def _spikes(network: Network, seed: int, samples: int = 3, steps: int = 3):
    rng = np.random.default_rng(seed)
    spikes = (rng.random((samples, steps, *network.in_shape)) < 0.4).astype(np.uint8)
    return spikes, rng.integers(0, network.classes, samples)


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS)
def test_gradients_of_the_twin_are_pytorchs(text):
    """With SEW blocks as Fang et al. write them: the spikes of a block's branch and of its shortcut, added."""
    torch = pytest.importorskip("torch")
    from spikingjelly.activation_based import neuron, surrogate

    network = Network.parse(text)
    settings = TrainSettings(timesteps=3, loss_scale=1)
    twin = FloatTwin(network, NeuronSettings(surrogate="atan:2", threshold=0.3), settings, np.float64)
    spikes, labels = _spikes(network, 0)
    ours = twin.gradients(spikes, labels)

    weights = {name: torch.tensor(value, requires_grad=True) for name, value in twin.weights.items()}

    def fire(x):
        lif = neuron.LIFNode(
            tau=2.0, decay_input=False, v_threshold=0.3, v_reset=0.0, surrogate_function=surrogate.ATan(2.0),
            detach_reset=True, step_mode="m",
        )  # fmt: skip
        return lif(x)

    def compute(node, read):
        steps, samples = read.shape[:2]
        weight = weights[f"{node.name}.weight"]
        bias = weights[f"{node.name}.bias"]
        flat = read.reshape(steps * samples, *read.shape[2:])
        if node.kind == "linear":
            return (flat.reshape(steps * samples, -1) @ weight[0] + bias).reshape(steps, samples, 1, 1, -1)
        kernel = weight.reshape(node.kernel, node.kernel, *weight.shape[1:]).permute(3, 2, 0, 1)
        result = torch.nn.functional.conv2d(flat.permute(0, 3, 1, 2), kernel, bias, node.stride, node.padding)
        return result.permute(0, 2, 3, 1).reshape(steps, samples, *result.shape[2:], -1)

    made = {"input": torch.tensor(spikes, dtype=torch.float64).transpose(0, 1)}
    for node in network.nodes:
        first, *rest = (made[edge.node] for edge in node.inputs)
        if node.kind in ("conv", "linear"):
            made[node.name] = compute(node, first)
        elif node.kind == "neuron":
            made[node.name] = fire(first)
        elif node.kind == "pool":
            flat = first.reshape(-1, *first.shape[2:]).permute(0, 3, 1, 2)
            join = torch.nn.functional.max_pool2d if node.method == "max" else torch.nn.functional.avg_pool2d
            result = join(flat, node.size).permute(0, 2, 3, 1)
            made[node.name] = result.reshape(*first.shape[:2], *result.shape[1:])
        else:  # a flatten is none of torch's linear layer above
            made[node.name] = sum(rest, first)
    counts = made[network.output].sum(0).reshape(len(labels), -1)
    errors = settings.losses(network.classes).errors(counts.detach().numpy(), labels, 3)
    (counts * torch.tensor(errors)).sum().backward()
    assert max(float(trace.spikes.mean()) for trace in twin.forward(spikes)) > 0.1
    for name, gradient in ours.items():
        theirs = weights[name].grad.numpy()
        assert np.abs(gradient - theirs).max() <= 1e-9 * np.abs(theirs).max(), name
        assert np.abs(theirs).max() > 0, name


@pytest.mark.parametrize("gradient_bits", [16, 48])
@pytest.mark.parametrize("text", TEXTS)
def test_golden_is_near_the_twin(text, gradient_bits):
    """The same spikes for weights whose potentials FP16 holds, and gradients within the roundings of errors on their
    way through up to nine layers."""
    network = Network.parse(text)
    kinds = {"pool": 2, "planes": True} if "p" in text else {}
    neuron = NeuronSettings(surrogate="triangle", threshold=0.25)
    kinds |= neuron.core(network.layers)
    cfg = CoreConfig(lanes=2, timesteps=3, walks=8, gradient_bits=gradient_bits, **kinds)
    golden = GoldenTrainer(network, neuron, cfg, 1)
    twin = FloatTwin(network, neuron, TrainSettings(timesteps=3, loss_scale=256), np.float64)
    coarse = {name: np.rint(value.astype(np.float64) * 64) / 64 for name, value in golden.weights.items()}
    golden.load(Space.WEIGHTS, {name: to_bits(value, cfg.format) for name, value in coarse.items()})
    twin.state["weights"] = coarse
    spikes, labels = _spikes(network, 1)
    (trace,) = golden.train(spikes, labels, golden.loss_constants(256))
    theirs = twin.forward(spikes)
    for ours, other in zip(trace.spikes, theirs, strict=True):
        assert (ours.transpose(3, 0, 1, 2, 4) == other.spikes).all()
    assert not golden.faults.any() and golden.bits(Space.GRADIENTS)
    for name, gradient in twin.gradients(spikes, labels).items():
        assert np.abs(golden.gradients[0][name] - gradient).max() <= 2.0**-7 * np.abs(gradient).max(), name
