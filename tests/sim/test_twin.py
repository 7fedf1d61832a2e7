"""The fast twin: against plain loops over neurons and steps, against finite differences, and in training."""

from itertools import product

import numpy as np
import pytest

from trident.hw.errors import TridentError
from trident.sim.twin import FloatTwin
from trident.snn.data.dataset import batches, load
from trident.snn.data.encoding import encode
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

NETWORKS = ("6-5-3", "4x3x2-3c3-3", "5x6x2-3c3s2-4c3s2p0-3", "4x4x1-2c2s2p1-3")


def stimulus(network, timesteps=4, batch=3, seed=1):
    rng = np.random.default_rng(seed)
    spikes = (rng.random((batch, timesteps, *network.in_shape)) < 0.5).astype(np.uint8)
    return spikes, rng.integers(0, network.classes, batch)


def loops(trainer, spikes, labels):
    """Counts and gradients by section-by-section loops over sample, step, position, tap and channel."""
    neuron, steps = trainer.neurons[0], trainer.settings.timesteps
    layers = trainer.network.layers
    weights = [(trainer.weights[layer.weight], trainer.weights[layer.bias_name]) for layer in layers]
    sums = [(np.zeros_like(w), np.zeros_like(b)) for w, b in weights]
    counts = np.zeros((len(spikes), trainer.network.classes))
    for n, label in enumerate(labels):
        ins, fired, slopes, flow = [], [], [], spikes[n].astype(float)
        for layer, (w, b) in zip(layers, weights):
            flow = flow.reshape(steps, *layer.in_shape)
            s, m = np.zeros((steps, *layer.out_shape)), np.zeros((steps, *layer.out_shape))
            for y, x, o in np.ndindex(layer.out_shape):
                kept = 0.0
                for t in range(steps):
                    u = neuron.leak * kept + b[o]
                    for tap, c, iy, ix in taps_of(layer, y, x):
                        u += w[tap, c, o] * flow[t, iy, ix, c]
                    s[t, y, x, o] = u >= neuron.threshold
                    m[t, y, x, o] = slope(neuron, u)
                    fires = s[t, y, x, o]
                    kept = u * (1 - fires) if neuron.reset == "hard" else u - neuron.threshold * fires
            ins.append(flow)
            fired.append(s)
            slopes.append(m)
            flow = s
        counts[n] = flow.sum(0).ravel()
        off = counts[n] / steps - (np.arange(counts.shape[1]) == label)
        errors = [2 * trainer.settings.loss_scale * off / (off.size * steps)] * steps
        for i in reversed(range(len(layers))):
            layer, below, later = layers[i], np.zeros((steps, *layers[i].in_shape)), np.zeros(layers[i].out_shape)
            for t in reversed(range(steps)):
                passed = neuron.leak * (1 - fired[i][t] if neuron.reset == "hard" else 1)
                later = slopes[i][t] * np.reshape(errors[t], layer.out_shape) + passed * later
                for y, x, o in np.ndindex(layer.out_shape):
                    sums[i][1][o] += later[y, x, o]
                    for tap, c, iy, ix in taps_of(layer, y, x):
                        sums[i][0][tap, c, o] += later[y, x, o] * ins[i][t, iy, ix, c]
                        below[t, iy, ix, c] += later[y, x, o] * weights[i][0][tap, c, o]
            errors = below
    return counts, sums


def taps_of(layer, y, x):
    height, width, channels = layer.in_shape
    for tap, c in product(range(layer.taps), range(channels)):
        (_, width_of_taps), (down, along), (top, left), (skip_y, skip_x) = layer.kernel
        iy = y * down + tap // width_of_taps * skip_y - top
        ix = x * along + tap % width_of_taps * skip_x - left
        if 0 <= iy < height and 0 <= ix < width:
            yield tap, c, iy, ix


def slope(neuron, u):
    if neuron.surrogate == "rectangle":
        return float(neuron.threshold - neuron.window < u < neuron.threshold + neuron.window)
    return max(0.0, 1 - abs(u - neuron.threshold) / neuron.window)


@pytest.mark.parametrize("text", NETWORKS)
@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("surrogate", ["rectangle", "triangle"])
def test_counts_and_gradients_equal_plain_loops(text, reset, surrogate):
    network = Network.parse(text)
    neuron = NeuronSettings(0.75, 0.25, 0.4, reset, surrogate)
    trainer = FloatTwin(network, neuron, TrainSettings(timesteps=4, seed=2), np.float64)
    spikes, labels = stimulus(network)
    counts, expected = loops(trainer, spikes, labels)
    np.testing.assert_array_equal(trainer.infer(spikes), counts)
    gradients = trainer.gradients(spikes, labels)
    for layer, want in zip(network.layers, expected, strict=True):
        for name, theirs in zip((layer.weight, layer.bias_name), want, strict=True):
            assert theirs.any()
            np.testing.assert_allclose(gradients[name], theirs, rtol=1e-12, atol=1e-12)


def test_a_potential_at_the_threshold_fires_and_at_the_edge_of_the_window_has_no_slope():
    trainer = FloatTwin(Network.parse("1-3"), NeuronSettings(0.5, 1.0, 0.5), TrainSettings(timesteps=1), np.float64)
    trainer.state["weights"] = {"linear1.weight": np.array([[[1.0, 0.5, 1.5]]]), "linear1.bias": np.zeros(3)}
    (trace,) = trainer.forward(np.ones((1, 1, 1, 1, 1), np.uint8))
    assert trace.spikes.ravel().tolist() == [1, 0, 1]
    assert trace.near.ravel().tolist() == [True, False, False]


def test_update_is_momentum_then_scaled_step():
    network = Network.parse("6-5-3")
    settings = TrainSettings(timesteps=4, batch=3, learning_rate=0.5, momentum=0.75, halve_every=2)
    trainer = FloatTwin(network, NeuronSettings(0.5, 0.25, 0.5), settings, np.float64)
    spikes, labels = stimulus(network)
    momentum = dict.fromkeys(network.tensors, 0.0)
    for epoch, rate in enumerate((0.5, 0.5, 0.25)):
        before, gradients = trainer.weights.copy(), trainer.gradients(spikes, labels)
        momentum = {name: 0.75 * momentum[name] + gradient for name, gradient in gradients.items()}
        trainer.train_batch(spikes, labels, epoch)
        for name, after in trainer.weights.items():
            np.testing.assert_allclose(after, before[name] - rate / (256 * 3) * momentum[name], rtol=1e-13)


def test_report_of_a_batch():
    network = Network.parse("6-5-3")
    trainer = FloatTwin(network, NeuronSettings(0.5, 0.25, 0.5), TrainSettings(timesteps=4), np.float64)
    spikes, labels = stimulus(network, batch=20)
    counts, fired = trainer.infer(spikes), trainer.forward(spikes)
    result = trainer.train_batch(spikes, labels)
    assert result["correct"] == sum(list(row).count(row[label]) == 1 and row[label] == max(row)
                                    for row, label in zip(counts, labels))  # fmt: skip
    assert result["loss"] == pytest.approx(np.mean((counts / 4 - np.eye(3)[labels]) ** 2), rel=1e-14)
    assert result["firing_rate"] == [trace.spikes.mean() for trace in fired]
    assert all(0 < share < 1 for share in result["gradient_sparsity"])


def test_layers_without_bias_keep_none():
    network = Network.parse("6-5-3", bias=False)
    trainer = FloatTwin(network, NeuronSettings(0.5, 0.25, 0.5), TrainSettings(timesteps=4))
    trainer.train_batch(*stimulus(network))
    assert list(trainer.weights) == ["linear1.weight", "linear2.weight"]


def test_float32_follows_float64():
    network = Network.parse("4x4x1-4c3-3")
    neuron, settings = NeuronSettings(0.5, 0.3, 0.5), TrainSettings(timesteps=4)
    single, double = (FloatTwin(network, neuron, settings, dtype) for dtype in (np.float32, np.float64))
    spikes, labels = stimulus(network, batch=16)
    theirs = double.gradients(spikes, labels)
    for name, ours in single.gradients(spikes, labels).items():
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs[name], rtol=1e-4, atol=1e-4)


def test_fp16_storage_holds_only_fp16_values():
    network = Network.parse("6-5-3")
    settings = TrainSettings(timesteps=4)
    trainer = FloatTwin(network, NeuronSettings(0.5, 0.25, 0.5), settings, storage=np.float16)
    for seed in range(5):
        trainer.train_batch(*stimulus(network, batch=16, seed=seed))
    for values in trainer.weights.values():
        np.testing.assert_array_equal(values, values.astype(np.float16))


def test_refusals():
    network = Network.parse("6-5-3")
    with pytest.raises(TridentError, match="float32 or float64, not float16"):
        FloatTwin(network, NeuronSettings(), TrainSettings(), np.float16)
    with pytest.raises(TridentError, match="the spikes have 4 timesteps, the training has 8"):
        FloatTwin(network, NeuronSettings(), TrainSettings()).infer(stimulus(network)[0])


@pytest.mark.parametrize("storage", [None, np.float16])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_digits_with_the_default_settings(seed, storage):
    data, network, settings = load("digits"), Network.parse("64-128-10"), TrainSettings(seed=seed)
    train, test = encode(data, network, settings.timesteps)
    # In float64, so that no library's order of sums moves a rounding across a threshold.
    trainer = FloatTwin(network, NeuronSettings(), settings, np.float64, storage)
    for epoch in range(settings.epochs):
        for part in batches(len(train), settings.batch, seed, epoch):
            trainer.train_batch(train[part], data.train_labels[part], epoch)
    right = (trainer.infer(test).argmax(1) == data.test_labels).mean()  # a tie goes to the lowest class
    assert right >= (0.98 if storage is None else 0.975)
    assert right - 0.02 < trainer.accuracy(test, data.test_labels) <= right
