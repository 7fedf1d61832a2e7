"""The measure of what exact sums are worth: how it adds and rounds, and what it finds."""

import numpy as np
import pytest

from trident.bench.results.shown import EMPTY
from trident.bench.results.tables import rounding as table
from trident.bench.training import rounding
from trident.host.report.figure import Figure
from trident.sim.twin import FloatTwin, LayerTrace
from trident.snn.network.network import Network
from trident.snn.train_settings import TrainSettings

NETWORK = "32-48-24-8"  # eight classes and eight timesteps: the loss table is exact


def test_ordered_sums_round_at_every_addition():
    """2048 + 1 lies between two numbers of FP16: added one by one, ones do not get past 2048."""
    assert rounding.ordered(np.ones(3000)) == 2048
    assert rounding.ordered(np.array([1.0, 2048.0, 1.0])) == 2048
    assert rounding.ordered(np.array([1.0, 1.0, 2048.0])) == 2050


@pytest.mark.parametrize("loss_scale", [1.0, 256.0])
@pytest.mark.parametrize("subnormals", [True, False])
def test_with_exact_sums_it_is_golden(subnormals, loss_scale):
    """So what is measured of sums in FP16 differs from golden by how it adds, and by nothing else."""
    golden, *samples = rounding.trained(Network.parse(NETWORK), 0, subnormals, loss_scale)

    def exact(terms):
        return rounding.half(terms.sum(axis=0))

    def multiply(a, b):
        return rounding.product(a, b, subnormals)

    found = rounding.gradients(golden, *samples, loss_scale, exact, rounding.half, multiply)
    assert all((ours == own).all() for ours, own in zip(found, rounding.own_gradients(golden), strict=True))


def test_without_rounding_it_is_the_twin():
    """The reference has the gradients that the float64 twin has of the same spikes and weights: on bits, as weights in
    sixteenths keep all sums exact in float64."""
    network = Network.parse(NETWORK)
    golden, trace, labels = rounding.trained(network, 0, True, 256.0)
    for values in golden.weights.values():
        values[:] = np.rint(16 * values) / 16
    settings = TrainSettings(timesteps=8, loss_scale=256.0)
    twin = FloatTwin(network, rounding.NEURON, settings, np.float64)
    twin.state["weights"] = {name: values.astype(np.float64) for name, values in golden.weights.items()}
    inputs, spikes, masks, potentials = (
        [np.moveaxis(array.astype(np.float64), 3, 0) for array in arrays]
        for arrays in (trace.inputs, trace.spikes, trace.masks, trace.potentials)
    )
    traces = [
        LayerTrace(
            [read.reshape(-1, 1, read.shape[-1])], fired, near != 0, own, fired, np.ones(fired.shape),
            fired.sum(0).reshape(len(labels), -1),
        )
        for read, fired, near, own in zip(inputs, spikes, masks, potentials, strict=True)
    ]
    wanted, _ = twin._backward(traces, labels)
    found = rounding.gradients(
        golden, trace, labels, 256.0, lambda terms: terms.sum(axis=0), lambda values: values, np.multiply
    )
    for layer, ours in zip(network.layers, found, strict=True):
        assert ours.any() and np.array_equal(ours, wanted[layer.weight][0])


def test_exact_sums_are_nearer(monkeypatch):
    monkeypatch.setattr(rounding, "LAYERS", 3)
    monkeypatch.setattr(rounding, "SAMPLES", 16)
    found = rounding.errors(0, True, 256.0)
    assert found["exact"].shape == (3,) and 0 < found["exact"].max() < found["ordered"].min() < 0.05


def test_table():
    names = [f"gradients.deep16.flushed.{way}.error_{of}" for way in rounding.WAYS for of in ("mean", "worst")]
    figures = {name: Figure(name, "ratio", 0.001 * n, "lower") for n, name in enumerate(names, 1)}
    assert "| flushed | 256 | 0.300 % | 0.400 % |" in table(figures) and table({}) == EMPTY
    del figures[names[0]]
    assert "0.200 %" not in table(figures)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_again(seed, monkeypatch):
    monkeypatch.setattr(rounding, "LAYERS", 2)
    monkeypatch.setattr(rounding, "SAMPLES", 4)
    one, two = (rounding.errors(seed, False, 256.0) for _ in range(2))
    assert all((one[name] == two[name]).all() for name in one)
