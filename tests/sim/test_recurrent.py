"""Sums of several branches and spikes of timesteps before: the fast twin against PyTorch's differentiation of a loop
over timesteps, and golden against the twin."""

import numpy as np
import pytest

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.planes import Planes
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_bits
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.twin import FloatTwin
from trident.snn.data.encoding import plane_values
from trident.snn.network.builder import Builder
from trident.snn.network.network import Network
from trident.snn.network.nodes import INPUT
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

STEPS = 6


def shortcut() -> Network:
    """A strided convolution, beside it one of kernel 1, and a readout of two branches."""
    build = Builder((5, 4, 2))
    build.add("conv", channels=3, kernel=3)
    build.add("neuron")
    build.add("conv", "neuron1", channels=4, kernel=3, stride=2, bias=False)
    build.add("conv", INPUT, channels=4, kernel=1, stride=2, padding=0)
    build.add("conv", "neuron1", channels=4, kernel=5, stride=2)
    build.add("add", "conv2", "conv3", "conv4")
    build.add("neuron")
    build.add("flatten")
    build.add("linear", outputs=4)
    build.add("flatten", INPUT)
    build.add("linear", outputs=4, bias=False)
    build.add("add", "linear1", "linear2")
    build.add("readout")
    return build.network()


def convolutions() -> Network:
    """A recurrent convolution, and a vector of its spikes now and two timesteps ago."""
    build = Builder((4, 3, 2))
    build.add("conv", channels=3, kernel=3)
    build.add("conv", "neuron1[t-1]", channels=3, kernel=3)
    build.add("conv", "neuron1[t-3]", channels=3, kernel=1, bias=False)
    build.add("add", "conv1", "conv2", "conv3")
    build.add("neuron")
    build.add("flatten")
    build.add("linear", outputs=5)
    build.add("flatten", "neuron1[t-2]")
    build.add("linear", outputs=5)
    build.add("linear", "neuron2[t-1]", outputs=5)
    build.add("add", "linear1", "linear2", "linear3")
    build.add("neuron")
    build.add("linear", outputs=4)
    build.add("neuron")
    return build.network()


def late() -> Network:
    """The samples of a timestep ago alone."""
    build = Builder((1, 1, 5))
    build.add("linear", "input[t-1]", outputs=4)
    build.add("neuron")
    build.add("linear", outputs=3)
    build.add("neuron")
    return build.network()


def voting() -> Network:
    """A recurrent output whose neurons vote, and that a branch reads from two timesteps ago."""
    build = Builder((1, 1, 5))
    build.add("linear", outputs=12)
    build.add("linear", "neuron1[t-1]", outputs=12, bias=False)
    build.add("linear", "neuron1[t-2]", outputs=12)
    build.add("add", "linear1", "linear2", "linear3")
    build.add("neuron", voters=4)
    return build.network()


NETWORKS = {
    "shortcut": shortcut(), "convolutions": convolutions(), "late": late(), "one": Network.parse("7-6rec-4"),
    "two": Network.parse("7-6rec-5rec-4"), "read out": Network.parse("7-6rec-4r"), "output": Network.parse("7-4rec"),
    "both": Network.parse("7-6rec-4rec"), "votes": voting(),
}  # fmt: skip


def batch(network: Network, seed: int, samples: int = 3):
    """Random samples and labels."""
    rng = np.random.default_rng(seed)
    spikes = (rng.random((samples, STEPS, *network.sample_shape)) < 0.4).astype(np.uint8)
    return spikes, rng.integers(0, network.classes, samples)


@pytest.mark.oracle
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("reset, detach", [("hard", True), ("soft", True), ("hard", False)])
def test_gradients_of_the_twin_are_those_of_a_loop_in_pytorch(name, reset, detach):
    """Node after node, timestep after timestep, with neurons of SpikingJelly."""
    torch = pytest.importorskip("torch")
    from spikingjelly.activation_based import neuron, surrogate

    network = NETWORKS[name]
    readout = network.layers[-1].readout
    loss = {"loss": "membrane-cross-entropy"} if readout else {}
    settings = TrainSettings(timesteps=STEPS, loss_scale=1, **loss)
    own = NeuronSettings(surrogate="atan:2", threshold=0.3, reset=reset, detach=detach)
    twin = FloatTwin(network, own, settings, np.float64)
    spikes, labels = batch(network, 0)
    ours = twin.gradients(spikes, labels)

    weights = {key: torch.tensor(value, requires_grad=True) for key, value in twin.weights.items()}
    cells = {
        node.name: neuron.LIFNode(
            tau=2.0, decay_input=False, v_threshold=0.3, v_reset=None if reset == "soft" else 0.0,
            surrogate_function=surrogate.ATan(2.0), detach_reset=detach, step_mode="s",
        ) for node in network.nodes if node.kind == "neuron"
    }  # fmt: skip

    def compute(node, read):
        weight, bias = weights[f"{node.name}.weight"], weights.get(f"{node.name}.bias")
        if node.kind == "linear":
            result = read.reshape(len(read), -1) @ weight[0]
            return (result if bias is None else result + bias).reshape(len(read), 1, 1, -1)
        kernel = weight.reshape(node.kernel, node.kernel, *weight.shape[1:]).permute(3, 2, 0, 1)
        result = torch.nn.functional.conv2d(read.permute(0, 3, 1, 2), kernel, bias, node.stride, node.padding)
        return result.permute(0, 2, 3, 1)

    samples = torch.tensor(spikes, dtype=torch.float64).transpose(0, 1)
    made: dict[str, list] = {key: [] for key in network.shapes}
    potential: object = 0
    for t in range(STEPS):
        made[INPUT].append(samples[t])
        for node in network.nodes:
            read = []
            for edge in node.inputs:
                at = t - edge.delay
                zeros = torch.zeros((len(labels), *network.shapes[edge.node]), dtype=torch.float64)
                read.append(made[edge.node][at] if at >= 0 else zeros)
            if node.kind in ("conv", "linear"):
                result = compute(node, read[0])
            elif node.kind == "readout":
                potential = result = potential * 0.5 + read[0]
            else:  # a flatten is none of compute
                result = cells[node.name](read[0]) if node.kind == "neuron" else sum(read[1:], read[0])
            made[node.name].append(result)
    outputs = torch.stack(made[network.output]).sum(0).reshape(len(labels), network.classes, -1).sum(2)
    outputs = outputs / (STEPS if readout else 1)
    most = network.most_spikes(STEPS)
    errors = settings.losses(network.classes).errors(outputs.detach().numpy(), labels, most)
    (outputs * torch.tensor(errors)).sum().backward()
    for key, gradient in ours.items():
        theirs = weights[key].grad.numpy()
        assert np.abs(gradient - theirs).max() <= 1e-9 * np.abs(theirs).max(), key
        assert np.abs(theirs).max() > 0, key


@pytest.mark.oracle
def test_a_recurrent_layer_is_that_of_spikingjelly():
    """LinearRecurrentContainer keeps both matrices side by side, with one bias."""
    torch = pytest.importorskip("torch")
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    network, settings = Network.parse("6-6rec-4"), TrainSettings(timesteps=STEPS, loss_scale=1)
    twin = FloatTwin(network, NeuronSettings(surrogate="atan:2", threshold=0.3), settings, np.float64)
    spikes, labels = batch(network, 1)

    def fire():
        return neuron.LIFNode(
            tau=2.0, decay_input=False, v_threshold=0.3, v_reset=0.0, surrogate_function=surrogate.ATan(2.0),
            detach_reset=True,
        )  # fmt: skip

    net = torch.nn.Sequential(
        layer.LinearRecurrentContainer(fire(), 6, 6), torch.nn.Linear(6, 4), fire()
    ).double()  # fmt: skip
    names = {"0.rc.weight": ("linear1.weight", "recurrent1.weight"), "0.rc.bias": ("linear1.bias",),
             "1.weight": ("linear2.weight",), "1.bias": ("linear2.bias",)}  # fmt: skip
    parameters = dict(net.named_parameters())
    for key, own in names.items():
        values = [twin.weights[one][0].T if one.endswith("weight") else twin.weights[one] for one in own]
        parameters[key].data = torch.tensor(np.concatenate(values, axis=-1))
    counts = sum(net(torch.tensor(spikes[:, t, 0, 0], dtype=torch.float64)) for t in range(STEPS))
    functional.reset_net(net)
    (counts * torch.tensor(settings.losses(4).errors(counts.detach().numpy(), labels, STEPS))).sum().backward()
    ours = twin.gradients(spikes, labels)
    for key, own in names.items():
        found = np.concatenate([ours[one][0].T if one.endswith("weight") else ours[one] for one in own], axis=-1)
        theirs = parameters[key].grad.numpy()
        assert np.abs(found - theirs).max() <= 1e-9 * np.abs(theirs).max() > 0, key


@pytest.mark.parametrize("name", NETWORKS)
def test_golden_is_near_the_twin(name):
    """The same spikes for weights whose potentials FP16 holds, and gradients within the roundings of errors."""
    network = NETWORKS[name]
    readout = network.layers[-1].readout
    neuron = NeuronSettings(surrogate="triangle", threshold=0.25)
    loss = {"loss": "membrane-cross-entropy"} if readout else {}
    settings = TrainSettings(timesteps=STEPS, loss_scale=256, **loss)
    core = neuron.core(network.layers) | settings.core
    cfg = CoreConfig(lanes=2, timesteps=1, chunks=STEPS, walks=8, **core)
    golden = GoldenTrainer(network, neuron, cfg, 1, loss=settings.losses(network.classes))
    twin = FloatTwin(network, neuron, settings, np.float64)
    coarse = {key: np.rint(value.astype(np.float64) * 64) / 64 for key, value in golden.weights.items()}
    golden.load(Space.WEIGHTS, {key: to_bits(value, cfg.format) for key, value in coarse.items()})
    twin.state["weights"] = coarse
    spikes, labels = batch(network, 1)
    (trace,) = golden.train(spikes, labels, golden.loss_constants(256))
    for ours, other in zip(trace.spikes, twin.forward(spikes), strict=True):
        assert (ours.transpose(3, 0, 1, 2, 4) == other.spikes).all()
    assert not golden.faults.any()
    for key, gradient in twin.gradients(spikes, labels).items():
        assert np.abs(golden.gradients[0][key] - gradient).max() <= 2.0**-6 * np.abs(gradient).max(), key


def test_frames_and_what_is_read_before_the_first_timestep():
    """Values of every timestep beside spikes of the one before, which the first has not; the biases are there."""
    network = Network.parse("3-4rec-2")
    network = Network(network.in_shape, network.nodes, planes=Planes(3, -2, True, still=False))
    cfg = CoreConfig(lanes=2, timesteps=1, chunks=STEPS, walks=8, planes=True)
    golden = GoldenTrainer(network, NeuronSettings(threshold=0.25), cfg, 1)
    spikes, labels = batch(network, 2)
    (trace,) = golden.train(spikes, labels, golden.loss_constants(256))
    own = trace.inputs[1]
    assert not own[..., 0, :].any() and (own[..., 1:, :] == trace.spikes[0][..., :-1, :]).all() and own.any()
    weights = {key: value.astype(float) for key, value in golden.weights.items()}
    values = plane_values(spikes, network.planes)[:, :, 0, 0]
    x = values @ weights["linear1.weight"][0] + weights["linear1.bias"]
    x[:, 1:] += trace.spikes[0][:, 0, 0, :-1] @ weights["recurrent1.weight"][0]
    u = np.zeros((3, 4))
    for t in range(STEPS):
        u = u * 0.5 + x[:, t]
        assert np.allclose(trace.potentials[0][:, 0, 0, t], u, atol=2e-3)
        u = u * (1 - trace.spikes[0][:, 0, 0, t])
