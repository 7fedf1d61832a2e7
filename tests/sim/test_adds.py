"""Sums that are added behind norms: the fast twin against PyTorch's differentiation with neurons of SpikingJelly, and
golden, from its own forward pass, against the twin."""

import numpy as np
import pytest

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_bits
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.twin import FloatTwin, LayerTrace
from trident.snn.network.builder import Builder
from trident.snn.network.conv import Conv
from trident.snn.network.network import Network
from trident.snn.network.nodes import Linear
from trident.snn.network.norms import with_norm
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

STEPS, SAMPLES = 4, 5


def mixed() -> Network:
    """Sums that three nodes take, an add of an add, largest sums of windows, spikes of two layers and a vector's."""
    build = Builder((6, 6, 2))
    build.add("conv", channels=3, kernel=3, bias=False)
    build.add("norm", scale=0.7)
    build.add("pool")
    build.add("neuron")
    build.add("conv", channels=3, kernel=3)
    build.add("neuron")
    build.add("conv", channels=3, kernel=3, bias=False)
    build.add("norm", name="behind", scale=1.3)
    build.add("conv", "neuron1", channels=3, kernel=1, padding=0)
    build.add("add", "behind", "pool1", "conv4")
    build.add("neuron")
    build.add("conv", channels=3, kernel=3)
    build.add("add", "conv5", "add1")
    build.add("add", "add2", "neuron1", "neuron2", "pool1")
    build.add("neuron")
    build.add("flatten")
    build.add("linear", outputs=6, bias=False)
    build.add("norm")
    build.add("neuron")
    build.add("linear", outputs=6)
    build.add("add", "linear2", "neuron5")
    build.add("neuron")
    build.add("linear", outputs=4)
    build.add("neuron")
    return build.network()


def networks() -> dict[str, Network]:
    """By name, residual blocks with and without norms."""
    found = {"mixed": mixed()}
    for text in ("8x8x1-4c3-res4-res6s2-4", "6x6x2-3c3-ms3-ms5s2-ms5-4", "8x8x1-3c3-mp2-res3-4"):
        found |= {f"{text} {norm}": with_norm(Network.parse(text), norm) for norm in ("none", "ws", "bn")}
    for text in ("8x8x2-4c3-sew4and-sew6s2iand-4", "8x8x1-4c3-mp2-sew4iand-sew4and-4"):
        found |= {f"{text} {norm}": with_norm(Network.parse(text), norm) for norm in ("none", "bn")}
    return found


NETWORKS = networks()


def batch(network: Network, seed: int, samples: int = SAMPLES):
    """Random samples and labels."""
    rng = np.random.default_rng(seed)
    spikes = (rng.random((samples, STEPS, *network.in_shape)) < 0.5).astype(np.uint8)
    return spikes, rng.integers(0, network.classes, samples)


@pytest.mark.oracle
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_the_twin_are_those_of_spikingjelly(name):
    """Node after node, all timesteps at once, with multi-step neurons and batch norms of SpikingJelly."""
    torch = pytest.importorskip("torch")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    functional = torch.nn.functional
    network, settings = NETWORKS[name], TrainSettings(timesteps=STEPS, loss_scale=1, batch=SAMPLES)
    twin = FloatTwin(network, NeuronSettings(surrogate="atan:2", threshold=0.25), settings, np.float64)
    spikes, labels = batch(network, 0)
    ours = twin.gradients(spikes, labels)
    raw = {part.weight for part in network.parts if part.standardised}
    given = {key: twin.state["raw" if key in raw else "weights"][key] for key in network.tensors}
    own = {key: torch.tensor(value, requires_grad=True) for key, value in given.items()}

    def compute(node, flow):
        weight, bias = own[f"{node.name}.weight"], own.get(f"{node.name}.bias")
        if node.standardise:
            flat = weight.reshape(-1, weight.shape[-1])
            mean, fan_in = flat.mean(0), len(flat)
            weight = (weight - mean) / torch.sqrt(flat.var(0) * fan_in + 1e-4)
        if isinstance(node, Linear):
            return torch.nn.functional.linear(flow.flatten(1), weight[0].T, bias)[..., None, None]
        kernel = weight.reshape(*node.geometry.size, *weight.shape[1:]).permute(3, 2, 0, 1)
        return functional.conv2d(flow, kernel, bias, node.geometry.stride, node.geometry.padding)

    def one(node, read):
        """Of all samples and timesteps (T * N, C, Y, X)."""
        if isinstance(node, Conv | Linear):
            return compute(node, read[0])
        match node.kind:
            case "norm":
                gain, offset = own[node.gain], own[node.offset]
                return functional.batch_norm(read[0], None, None, gain, offset, True, eps=node.epsilon)
            case "pool":
                return functional.max_pool2d(read[0], node.size, node.stride, node.padding)
            case "neuron":
                lif = neuron.LIFNode(
                    tau=2.0, decay_input=False, v_threshold=0.25, surrogate_function=surrogate.ATan(2.0),
                    detach_reset=True, step_mode="m",
                )  # fmt: skip
                return lif(read[0].unflatten(0, (STEPS, -1))).flatten(0, 1)
            case "flatten":
                return read[0].permute(0, 2, 3, 1).flatten(1)
        if node.kind == "add" and node.method:  # as sew_function of its model zoo
            return read[0] * (read[1] if node.method == "and" else 1.0 - read[1])
        return sum(read[1:], start=read[0])

    made = {"input": torch.tensor(spikes, dtype=torch.float64).transpose(0, 1).flatten(0, 1).permute(0, 3, 1, 2)}
    for node in network.nodes:
        made[node.name] = one(node, [made[edge.node] for edge in node.inputs])
    counts = made[network.output].flatten(1).unflatten(0, (STEPS, -1)).sum(0)
    errors = settings.losses(network.classes).errors(counts.detach().numpy(), labels, STEPS)
    (counts * torch.tensor(errors)).sum().backward()
    for key, gradient in ours.items():
        theirs = own[key].grad.numpy()
        assert np.abs(gradient - theirs).max() <= 1e-9 * np.abs(theirs).max(), key
        assert np.abs(theirs).max() > 0, key


def traces_of(golden: GoldenTrainer, trace, twin: FloatTwin) -> list[LayerTrace]:
    """What golden has kept of a minibatch, as the twin keeps it."""
    found, read = [], iter(trace.inputs)

    def moved(array: np.ndarray) -> np.ndarray:
        return array.transpose(3, 0, 1, 2, 4).astype(np.float64)

    for layer in golden.network.layers:
        n = layer.number
        columns = [twin._columns(part, sum(np.split(moved(next(read)), len(part.reads), axis=-1)))
                   for part in layer.parts]  # fmt: skip
        fired, pooled = moved(trace.spikes[n]), moved(trace.pooled[n])
        chosen = np.ones_like(fired) if layer.pool == 1 else moved(trace.masks[n])
        found.append(LayerTrace(
            columns, fired, moved(trace.masks[n]) != 0, moved(trace.potentials[n]), pooled, chosen,
            fired.sum(0).reshape(SAMPLES, -1),
            moved(trace.normed[n]) if layer.norm else None,
            golden._norms[n].inverse.astype(np.float64) if layer.norm else None,
            moved(trace.winners[n]).astype(int) if layer.window else None,
        ))  # fmt: skip
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_golden_is_near_the_twin(name):
    """From golden's spikes: sums within the roundings of a few additions, and gradients within those of errors."""
    network, neuron = NETWORKS[name], NeuronSettings(surrogate="atan:2", threshold=0.25)
    needs = {"batch_norm": True} if network.norms else {"adds": True}
    cfg = CoreConfig(
        lanes=2, timesteps=STEPS, walks=8, pool=2, kernels=True, planes=True, sum_words=64, window=2, winner_words=1,
        multiplier_subnormals=True, standardise=any(part.standardised for part in network.parts),
        **neuron.core(network.layers), **needs,
    )  # fmt: skip
    golden = GoldenTrainer(network, neuron, cfg, 1)
    settings = TrainSettings(timesteps=STEPS, loss_scale=256, batch=SAMPLES)
    twin = FloatTwin(network, neuron, settings, np.float64)
    for key, values in golden.weights.items():
        twin.weights[key][:] = values
    twin._standard = {}  # gradients are those of the weights that engines see
    spikes, labels = batch(network, 1)
    (trace,) = golden.train(spikes, labels, golden.loss_constants(256))
    assert not golden.faults.any() and golden.bits(Space.GRADIENTS)
    traces = traces_of(golden, trace, twin)
    for layer, own in zip(network.layers, traces, strict=True):
        x = sum(map(twin._products, layer.parts, own.columns)).reshape(STEPS, SAMPLES, *layer.sum_shape)
        x = twin._normalise(layer, x, True)[1] if layer.norm else x
        if layer.kept and not layer.window:
            x = sum((trace.sums[k].transpose(3, 0, 1, 2, 4) for k in layer.adds), start=x)
            sums = trace.sums[layer.number].transpose(3, 0, 1, 2, 4)
            assert np.abs(sums - x).max() <= 2.0**-8 * np.abs(x).max() > 0
    bound = 2.0**-4 if network.norms else 2.0**-6  # of small differences of large sums
    for key, gradient in twin._backward(traces, labels)[0].items():
        assert np.abs(golden.gradients[0][key] - gradient).max() <= bound * np.abs(gradient).max(), key


def test_the_error_at_sums_is_that_of_neurons_and_of_what_adds_them():
    """In golden, bit for bit: one addition for each that adds a layer's sums."""
    network = Network.parse("6x6x2-3c3-ms3-ms3-4")
    neuron = NeuronSettings(surrogate="atan:2", threshold=0.25)
    cfg = CoreConfig(lanes=4, timesteps=STEPS, sum_words=64, adds=True, **neuron.core(network.layers))
    golden = GoldenTrainer(network, neuron, cfg, 1)
    (trace,) = golden.train(*batch(network, 2), golden.loss_constants(256))
    assert [layer.adds for layer in network.layers] == [(), (), (0,), (), (2,), ()]
    top, below = trace.added[4], trace.added[2]
    assert (trace.errors[4] == top).all() and (trace.errors[2] == below).all() and top.any()
    own = np.float16(below - top)  # that of the neurons, as far as it can be told from the sum
    found = to_bits((own + top).astype(np.float32), cfg.format)
    assert (found == to_bits(below, cfg.format)).mean() > 0.99 and (own != 0).any()
