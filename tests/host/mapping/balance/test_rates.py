"""Cycles and words of pieces of layers, against the cost model's of whole layers."""

import numpy as np
import pytest

from trident.host.mapping.activity import random_activity
from trident.host.mapping.balance.demand import demands
from trident.host.mapping.balance.rates import rates
from trident.host.mapping.cost import CostModel
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import ERROR_SLOTS
from trident.snn.network.network import Network

CFG = CoreConfig.preset("SMALL", timesteps=4, lanes=16, words=8, accumulators=64)


@pytest.mark.parametrize("text", ["28x28x32-64c3-32c3s2-mp2-256c3-100-10", "20x20x3-64c7s2-sew64-10"])
def test_rates_are_the_cost_models(text):
    """Of whole layers and of a group of lanes, on an image larger than a crop."""
    network, density = Network.parse(text, bias=False), 0.3
    cost = CostModel(network, CFG, random_activity(network, CFG.timesteps, 1, density))
    for layer in network.layers:
        n, outputs = layer.number, layer.out_channels
        for end in {min(16, outputs), outputs}:
            cycles = rates(layer, CFG, density, end < outputs)[-(-end // 16)]
            assert cycles[0] == pytest.approx(cost.forward(n, 0, end), rel=0.12), (n, end)
            assert cycles[2] == pytest.approx(cost.weight_grad(n, 0, end), rel=0.12), (n, end)
            if n:
                back = cost.backward_away(n, 0, end, 0, layer.image[2])
                assert cycles[1] == pytest.approx(back, rel=0.2), (n, end)
            else:
                assert cycles[1] == 0


def test_denser_spikes_take_longer():
    layer = Network.parse("16x16x16-32c3-10").layers[0]
    assert (rates(layer, CFG, 0.6, False)[2, [0, 2]] > 1.3 * rates(layer, CFG, 0.1, False)[2, [0, 2]]).all()


def test_memory_by_hand():
    """A layer of 3 x 3 x 16 x 32 weights on 8 x 8 pixels, two layers behind it, and a linear one of 512 inputs."""
    network = Network.parse("8x8x16-32c3-mp2-16-10", bias=False)
    conv, linear, last = demands(network, CFG, 0.2, 1)
    word, row, kept = 16 * 4, 16 * 16, 16 * 16 + 768 + 16 * 16  # weights, gradients, momenta
    weights, slots = 9 * 16 * 2 * kept, 2 * 2 + 3
    inputs, own = 64 * slots * word, (2 * 64 * 2 + 2 * 16 * 2) * slots * word // 2
    assert conv.granules == 2 and not conv.by_rows  # more weights than spikes
    errors = 2 * 64 * ERROR_SLOTS * (4 * row + word)
    assert conv.loads[2, 3] == inputs + weights + 2 * own + errors
    assert conv.loads[1, 3] == inputs + (weights + 2 * own + errors) / 2
    assert linear.granules == last.granules == 1 and (conv.loads[0] == 0).all()


def test_large_images_are_cut_into_rows_that_pools_leave_whole():
    first, second, *_ = demands(Network.parse("64x64x16-16c3-mp2-16c3-10", bias=False), CFG, 0.2, 4)
    assert first.by_rows and first.granules == 32 and second.by_rows and second.granules == 32
    half = first.loads[16]
    assert 2 * half[:3] == pytest.approx(first.loads[32, :3]) and 2 * half[3] > first.loads[32, 3]


def test_what_lies_behind_a_layer_is_what_waits_for_it():
    """Spikes of a layer that a later one reads past others are kept as long as those of the chain."""
    chain, past = (
        demands(Network.parse(f"16x16x16-16c3-{text}10", bias=False), CFG, 0.2, 1)[0].loads for text in ("", "sew16-")
    )
    assert (past[1:, 3] > chain[1:, 3]).all() and np.array_equal(past[:, :3], chain[:, :3])
