"""Cycles of layers: they add up to those of the cores that have them."""

import numpy as np
import pytest

from trident.host.mapping.activity import Activity, LayerActivity
from trident.host.mapping.cost import CostModel
from trident.host.mapping.layer_cycles import layer_cycles
from trident.host.mapping.prediction import predict
from trident.hw.isa.config import CoreConfig
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

NETWORK = Network.parse("8x8x2-4c3s2-6c3-10")


@pytest.fixture(scope="module")
def cost() -> CostModel:
    cfg, rng, layers = CoreConfig.preset("FPGA", weight_rows=4096, spike_words=2048, error_words=1024), np.random, []
    for layer in NETWORK.layers:
        shapes = [(2, *shape[:2], cfg.timesteps, shape[2]) for shape in (layer.in_shape, layer.out_shape)]
        inputs, spikes = ((rng.default_rng(1).random(shape) < 0.3).astype(np.uint8) for shape in shapes)
        layers.append(LayerActivity(inputs, spikes, spikes))
    return CostModel(NETWORK, cfg, Activity(2, tuple(layers)))


def test_layers_of_one_core_add_up(cost):
    partition = Partition.single(NETWORK)
    found = layer_cycles(cost, partition, 8)
    (core,) = predict(cost, partition, 8).members
    assert sum(cycles["forward"] for cycles in found) == pytest.approx(core.cycles.forward)
    assert sum(cycles["weight_grad"] for cycles in found) == pytest.approx(core.cycles.weight_grad)
    assert sum(cycles["backward"] for cycles in found[:-1]) == pytest.approx(core.cycles.backward)
    assert found[-1]["backward"] == cost.loss(10)


def test_of_a_split_layer_the_core_with_the_most_counts(cost):
    partition = Partition.parse("1,2/2,3", NETWORK, cost.cfg.lanes)
    found, whole = layer_cycles(cost, partition, 8), layer_cycles(cost, Partition.single(NETWORK), 8)
    assert found[1]["forward"] == max(cost.forward(1, *share) for share in ((0, 3), (3, 6))) < whole[1]["forward"]
    assert found[0]["weight_grad"] == whole[0]["weight_grad"]
    assert all(cycles["backward"] > 0 for cycles in found)
