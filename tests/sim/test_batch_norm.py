"""Batch norm, and windows of sums, of the fast twin and of golden against SpikingJelly and PyTorch."""

from dataclasses import replace

import numpy as np
import pytest

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.planes import Planes
from trident.hw.isa.spaces import Space
from trident.sim.golden.norm import BatchNorm
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.twin import FloatTwin
from trident.snn.network.network import Network, edges
from trident.snn.network.nodes import Norm
from trident.snn.network.norms import with_norm
from trident.snn.network.windows import Windows
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

NETWORKS = ("6x6x2-5c3-4", "7x5x2-4c3s2-3c3s2p0-4", "8x4x2-4c3-mp2-3c3-5", "12-9-8-4", "9x8x2-4c3m2-3c3m2-5",
            "9x8x2-4c3m3s2p1-3c3m3s1-5", "11x10x2-5c3s2-mp3s2p1-4c3-mp3s1p1-5", "9x7x2-4c3-mp2p1-3c3-mp2s3-5",
            "12-18m3-8m2-5")
STEPS, SAMPLES = 6, 7


def networks(text: str, frozen: bool = False) -> Network:
    """With norms whose epsilon, momentum and first gains differ."""
    network, rng = with_norm(Network.parse(text), "bn"), np.random.default_rng(4)

    def changed(node):
        epsilon, momentum, scale = (float(rng.uniform(*limits)) for limits in ((-12, 0), (0.05, 1), (0.5, 2)))
        return replace(node, epsilon=2.0**epsilon, momentum=momentum, scale=scale, frozen=frozen)

    return replace(network, nodes=tuple(changed(n) if isinstance(n, Norm) else n for n in network.nodes))


def stimulus(network: Network, samples: int = SAMPLES, seed: int = 1):
    rng = np.random.default_rng(seed)
    spikes = (rng.random((samples, STEPS, *network.in_shape)) < 0.4).astype(np.uint8)
    return spikes, rng.integers(0, network.classes, samples)


def settings_of(network: Network) -> TrainSettings:
    return TrainSettings(timesteps=STEPS, batch=SAMPLES, learning_rate=0.3, loss_scale=64, seed=2)


def move(network: Network, running: dict[str, np.ndarray]):
    """Give a network's norms running variances and means as they might have been trained."""
    rng = np.random.default_rng(11)
    for norm in network.norms:
        running[norm.gain][:] = rng.uniform(0.003, 0.03, running[norm.gain].shape)
        running[norm.offset][:] = rng.normal(size=running[norm.offset].shape) / 16


@pytest.mark.oracle
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("text", NETWORKS)
def test_gradients_and_running_statistics_are_spikingjellys(text, frozen):
    """Three minibatches in train mode, or with norms in eval mode, with updates by the twin, then the same in eval
    mode."""
    torch = pytest.importorskip("torch")
    sj_layer = pytest.importorskip("spikingjelly.activation_based.layer")
    sj_neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")

    network = networks(text, frozen)
    twin = FloatTwin(network, NeuronSettings(0.5, 0.75, surrogate="atan:2"), settings_of(network), np.float64)
    norms = {}
    if frozen:
        move(network, twin.state["raw"])
    for layer in network.layers:
        if layer.norm:
            kind = sj_layer.BatchNorm2d if layer.kind == "conv" else sj_layer.BatchNorm1d
            norms[layer.number] = norm = kind(
                layer.out_channels, eps=layer.norm.epsilon, momentum=layer.norm.momentum, step_mode="m"
            ).double().train(not frozen)
            if frozen:
                norm.running_var = torch.tensor(twin.state["raw"][layer.norm.gain].copy())
                norm.running_mean = torch.tensor(twin.state["raw"][layer.norm.offset].copy())

    def parameters(name):
        return torch.tensor(twin.weights[name].copy(), requires_grad=True)

    def pooled(flow, windows):
        if windows is None:
            return flow
        if windows.line:
            return torch.nn.functional.max_pool1d(flow.flatten(2), windows.size)[..., None, None]
        found = torch.nn.functional.max_pool2d(flow.flatten(0, 1), windows.size, windows.stride, windows.padding)
        return found.unflatten(0, (STEPS, -1))

    def run(spikes):
        """Outputs (N, classes), spikes of each layer and parameters by name."""
        flow = torch.tensor(spikes.astype(np.float64)).permute(1, 0, 4, 2, 3)  # (T, N, C, Y, X)
        own, fired = {name: parameters(name) for name in network.tensors}, []
        for layer in network.layers:
            weight = own[layer.weight]
            bias = own.get(layer.bias_name)
            if layer.kind == "linear":
                flow = flow.permute(0, 1, 3, 4, 2).flatten(2) @ weight[0]
                flow = flow if bias is None else flow + bias
            else:
                kernel = weight.reshape(*layer.kernel.size, *weight.shape[1:]).permute(3, 2, 0, 1)
                flow = torch.nn.functional.conv2d(flow.flatten(0, 1), kernel, bias, *layer.kernel[1:])
                flow = flow.unflatten(0, (STEPS, -1))
            if norm := norms.get(layer.number):
                del norm.weight, norm.bias
                norm.weight, norm.bias = own[layer.norm.gain], own[layer.norm.offset]
                flow = norm(flow if layer.kind == "conv" else flow[..., None]).reshape(flow.shape)
            if layer.kind == "linear":
                flow = flow[..., None, None]
            flow = pooled(flow, layer.window)
            neuron = sj_neuron.LIFNode(
                tau=2.0, decay_input=False, v_threshold=0.75, detach_reset=True, step_mode="m",
                surrogate_function=surrogate.ATan(alpha=2.0),
            )  # fmt: skip
            flow = neuron(flow)
            fired.append(flow.detach().permute(0, 1, 3, 4, 2).numpy())
            flow = pooled(flow, layer.join or Windows(layer.pool, layer.pool))
        return flow.sum(0).flatten(1), fired, own

    for seed in range(3):
        spikes, labels = stimulus(network, seed=seed)
        counts, fired, own = run(spikes)
        onehot = torch.nn.functional.one_hot(torch.tensor(labels), network.classes)
        (((counts / STEPS - onehot) ** 2).mean(1).sum() * 64).backward()
        before = {name: value.copy() for name, value in twin.state["raw"].items()}
        for trace, theirs in zip(twin.forward(spikes, training=True), fired, strict=True):
            assert (trace.spikes == theirs).all()
        twin.state["raw"].update(before)
        gradients = twin.gradients(spikes, labels)
        twin.state["raw"].update(before)
        for name, theirs in own.items():
            assert np.abs(gradients[name] - theirs.grad.numpy()).max() <= 1e-9 * np.abs(theirs.grad.numpy()).max() > 0
        twin.train_batch(spikes, labels)
        for number, norm in norms.items():
            node = network.layers[number].norm
            for name, theirs in ((node.gain, norm.running_var.numpy()), (node.offset, norm.running_mean.numpy())):
                # Far below the 1e-9 of gradients: no error goes through layers here
                assert np.abs(twin.state["raw"][name] - theirs).max() <= 1e-12 * np.abs(theirs).max() > 0
    for norm in norms.values():
        norm.eval()
    spikes, _ = stimulus(network, seed=9)
    for trace, theirs in zip(twin.forward(spikes), run(spikes)[1], strict=True):
        assert (trace.spikes == theirs).all()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("text", [*NETWORKS[:3], "64-32-16-4"])  # whose sums take many values
def test_golden_is_near_the_twin(text, frozen):
    """From the same weights and, layer by layer, the same spikes, in training and with running statistics: at most one
    spike in a thousand differs."""
    whole, neuron, compared = networks(text, frozen), NeuronSettings(0.5, 0.75, surrogate="atan:2"), 0
    others = "lif/hard/atan/pooled" if "mp" in text else ""
    cfg = CoreConfig(timesteps=STEPS, surrogate="atan", batch_norm=True, sum_words=64, others=others)
    golden = GoldenTrainer(whole, neuron, cfg, 2)
    if frozen:
        move(whole, golden.raw)
        golden.load(Space.RAW, golden.bits(Space.RAW))  # rounded
    spikes, labels = stimulus(whole, 256)
    before = {name: values.copy() for name, values in golden.raw.items()}
    (trace,) = golden.train(spikes, labels, golden.loss_constants(64))
    (tested,) = golden.infer(spikes, len(spikes))
    for layer in (layer for layer in whole.layers if layer.norm):
        nodes = {node.name: node for node in whole.nodes}
        own = [replace(nodes[layer.node], inputs=edges("input")), layer.norm, nodes[layer.neuron]]
        twin = FloatTwin(Network(layer.in_shape, tuple(own)), neuron, settings_of(whole), np.float64)
        for name in layer.parameters:
            twin.weights[name][:] = golden.weights[name]
            if frozen:
                twin.state["raw"][name][:] = golden.raw[name]
        for found, training in ((trace, True), (tested, False)):
            given = found.inputs[layer.number].transpose(0, 3, 1, 2, 4)
            theirs = twin.forward(given, training)[0].spikes
            assert (found.spikes[layer.number].transpose(3, 0, 1, 2, 4) != theirs).mean() <= 1e-3
            compared += int(theirs.sum())
        assert (golden.raw[layer.norm.gain] == before[layer.norm.gain]).all() == frozen
    assert compared > 1000 and not golden.faults.any()


def test_errors_of_a_frozen_norm_are_scaled():
    """By the gain over the running deviation, and nothing else: gradients are sums of errors and of products."""
    layer, rng = networks(NETWORKS[0], frozen=True).layers[0], np.random.default_rng(3)
    norm = BatchNorm(layer, CoreConfig(timesteps=STEPS, batch_norm=True, sum_words=64, multiplier_subnormals=True))
    shape, gain, offset = (SAMPLES, 6, 6, STEPS, 5), layer.norm.gain, layer.norm.offset
    x, errors = (rng.normal(size=shape).astype(np.float16).astype(np.float32) for _ in range(2))
    parameters, running = (
        {name: rng.uniform(0.5, 2, 5).astype(np.float16).astype(np.float32) for name in (gain, offset)}
        for _ in range(2)
    )  # fmt: skip
    kept = {name: values.copy() for name, values in running.items()}
    z, y, _ = norm.forward(x, parameters, running, training=True)
    found, gradients, fault = norm.backward(errors, z, parameters)
    factor = parameters[gain] / np.sqrt(running[gain] + layer.norm.epsilon)
    assert np.abs(y - ((x - running[offset]) * factor + parameters[offset])).max() < 2.0**-6
    assert np.abs(found - factor * errors).max() < 2.0**-7 and not fault.any()
    for name, terms in ((offset, errors), (gain, errors * z)):
        wanted = terms.sum(axis=(0, 1, 2, 3))
        assert (running[name] == kept[name]).all()
        assert np.abs(gradients[name] - wanted).max() < 0.1 < np.abs(wanted).max()


def test_all_samples_count():
    """Statistics are those of the whole minibatch, however many samples golden is given at once."""
    network = networks(NETWORKS[0])
    cfg, found = CoreConfig(timesteps=STEPS, batch_norm=True, sum_words=64), []
    for at_once in (1, 32):
        golden = GoldenTrainer(network, NeuronSettings(0.5, 0.75), cfg, 2)
        list(golden.train(*stimulus(network), golden.loss_constants(64), at_once))
        found.append([golden.raw[name] for name in sorted(golden.raw)])
    for one, other in zip(*found, strict=True):
        assert (one == other).all()
    assert any(values.any() for values in found[0])


def test_errors_at_values_that_stay_the_same_are_sums_over_time():
    """Of the same errors behind the norm, timestep by timestep and summed, and z that is the same at all of them."""
    network, rng = networks(NETWORKS[0]), np.random.default_rng(3)
    cfg = CoreConfig(timesteps=STEPS, batch_norm=True, sum_words=64, planes=True, multiplier_subnormals=True)
    layer, still = (own.layers[0] for own in (network, replace(network, planes=Planes(4, -2))))
    z = np.repeat(rng.normal(size=(SAMPLES, 6, 6, 1, 5)), STEPS, axis=3).astype(np.float32)
    errors = rng.normal(size=z.shape).astype(np.float32)
    parameters = {name: rng.uniform(0.5, 2, 5).astype(np.float32) for name in (layer.norm.gain, layer.norm.offset)}
    found = []
    for own, given in ((layer, errors), (still, errors[..., ::-1, :].cumsum(axis=3)[..., ::-1, :])):
        norm = BatchNorm(own, cfg)
        norm.inverse[:] = np.arange(1, 6) / 4
        found.append(norm.backward(given.astype(norm.inverse.dtype), z, parameters))
    (each, gradients, _), (summed, others, fault) = found
    wanted = each.sum(axis=3)
    assert not fault.any() and np.abs(summed[..., 0, :] - wanted).max() <= 2.0**-6 * np.abs(wanted).max()
    for name, gradient in gradients.items():
        assert np.abs(others[name] - gradient).max() <= 2.0**-6 * np.abs(gradient).max() > 0
