"""Cores whose neurons learn their leaks."""

from dataclasses import replace

import numpy as np
import pytest

from tests.hw.core.benches import BF16, CHUNKS, NORM, POOL, SHORT, WALKS, check, core_of, normed, train
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.planes import Planes
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_bits
from trident.snn.network.leaks import with_leaks
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

PLIF = WALKS | {"charge": "plif", "surrogate": "atan", "gradient_bits": 48}
NETWORKS = ("9-7-5-3", "4x4x1-3c3-3", "5x5x3-5c3-6c3s2-4", "4x4x2-3c3-sew5-4")
OTHERS = "leaky/soft-after-leak/atan/attached,lif/hard/atan,plif-decay-input/soft/atan"


def mixed(network: Network, cfg: CoreConfig, seed: int) -> Network:
    """The network with neurons of the core's, some of which learn their leaks, at random."""
    rng, nodes = np.random.default_rng(seed), list(network.nodes)
    kinds = [kind for kind in cfg.neurons if not (kind.pooled or kind.still)]
    for n, node in enumerate(nodes):
        if node.kind == "neuron":
            kind = kinds[rng.integers(len(kinds))]
            charge, decays = kind.charge.removesuffix("-decay-input"), kind.charge.endswith("-decay-input")
            nodes[n] = replace(
                node, neuron=charge, decay_input=decays, reset=kind.reset, surrogate=kind.surrogate, detach=kind.detach,
                leak=float(rng.uniform(0.1, 0.9)), threshold=float(rng.uniform(0.2, 0.5)),
            )  # fmt: skip
    return replace(network, nodes=tuple(nodes))


def spread_leaks(bench: StepBench, rng):
    """Parameters of leaks that differ from channel to channel, on both; of leaky neurons some beyond 0 and 1."""
    bits = bench.golden.bits(Space.WEIGHTS)
    for layer in bench.network.learns:
        own = bits[layer.leak_name]
        values = rng.normal(size=own.shape) * 2 if layer.shares_leak else rng.uniform(-0.2, 1.2, own.shape)
        bits[layer.leak_name] = to_bits(values, bench.golden.fmt)
    bench.golden.load(Space.WEIGHTS, bits)
    bench.session.load(Space.WEIGHTS, bits)


@pytest.mark.parametrize("changes, stalls", [
    ({}, None), ({"others": OTHERS}, 7), ({"charge": "plif-decay-input", "others": OTHERS} | SHORT, None),
    (CHUNKS | WALKS | {"gradient_bits": 48, "others": OTHERS.replace("atan", "triangle")}, 3),
    (BF16 | {"charge": "leaky", "lanes": 4, "timesteps": 3}, None),
    (POOL | {"others": "plif/hard/atan/pooled"}, None),
    ({"planes": True, "timesteps": 8, "others": f"plif/hard/atan/still,{OTHERS}", "lanes": 4}, 5),
    (NORM | {"weight_grad_cols": 2, "backward_cols": 2, "others": OTHERS, "optimiser": "adam"}, None),
    ({"standardise": True, "lanes": 8, "others": OTHERS}, 7),
])  # fmt: skip
def test_networks(changes, stalls):
    core, cfg = core_of("TINY", stalls, **PLIF | changes)
    rng, fired, settings = np.random.default_rng(4), 0, NeuronSettings.of(cfg)
    networks = ("8x8x1-3c3-mp2-4c3-3",) if cfg.pool > 1 else NETWORKS
    for number, text in enumerate(networks):
        network = mixed(with_leaks(Network.parse(text), settings), cfg, number)
        if cfg.batch_norm:
            network = normed(network, number)
        if cfg.planes:
            first = replace(network.node("neuron1"), neuron="plif", decay_input=False, reset="hard", detach=True)
            nodes = tuple(first if node.name == "neuron1" else node for node in network.nodes)
            network = replace(network, nodes=nodes, planes=Planes(3, -2, True))
        if cfg.pool > 1:
            network = with_leaks(Network.parse(text), settings)
        bench = StepBench(network, settings, cfg, core, number, minibatch=5)
        spread_leaks(bench, rng)
        fired += check(bench, rng, text)
    assert fired > 20


def test_leaks_move():
    """All channels of a layer with a shared leak alike, those of leaky neurons each by itself."""
    core, cfg = core_of("TINY", None, **PLIF | {"others": OTHERS})
    settings = NeuronSettings.of(cfg)
    network = mixed(Network.parse("9-7-5-3"), cfg, 3)
    assert {layer.shares_leak for layer in network.learns} == {True, False}
    bench, rng = StepBench(network, settings, cfg, core), np.random.default_rng(1)
    before = bench.golden.bits(Space.WEIGHTS)
    assert train(bench, rng, 5, 0.5)[0] is None
    for layer in network.learns:
        moved = bench.session.read(Space.WEIGHTS)[layer.leak_name].astype(int) - before[layer.leak_name]
        assert moved.any() and (len(set(moved.tolist())) == 1) == layer.shares_leak


@pytest.mark.parametrize("text, changes, error, words", [
    ("9-7-3", {"leak_groups": 4}, TooLarge, "the leaks that neurons learn need 6 words, 2 more than leak_groups of 4"),
    ("9-7-3", {"gradient_bits": 16}, TridentError, "leaks that are learned need exact gradients"),
    ("9-7-3", {"charge": "lif"}, TridentError, "'neuron1' is a neuron plif/hard/atan, which the core has not"),
    ("4x6x1-3c3-3", {}, TridentError, "'linear2' reads an image of 4x6 pixels that is pooled, that others r"),
    ("4x4x1-3c3m2-3", {"window": 2, "sum_words": 256, "winner_words": 256}, TridentError,
     "'neuron1' takes the largest sums of windows"),
])  # fmt: skip
def test_leaks_that_a_core_has_not(text, changes, error, words):
    settings = NeuronSettings(neuron="plif", surrogate="atan")
    with pytest.raises(error, match=words):
        cfg = CoreConfig.preset("TINY", **PLIF | changes)
        StepBench(with_leaks(Network.parse(text), settings), settings, cfg, None)
