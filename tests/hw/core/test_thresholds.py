"""Cores whose neurons learn their thresholds."""

from dataclasses import replace

import numpy as np
import pytest

from tests.hw.core.benches import BF16, CHUNKS, SHORT, WALKS, check, core_of, train
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.neurons import NeuronKind
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_bits
from trident.snn.network.leaks import with_leaks
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

OWN = WALKS | {"gradient_bits": 48, "surrogate": "atan", "others": "lif/hard/atan/threshold"}
MIXED = ",".join((
    "lif/soft-after-leak/atan/threshold", "synaptic/soft/atan/attached/threshold", "leaky/hard/atan",
    "if/none/atan/threshold",
))  # fmt: skip
NETWORKS = ("9-7-5-3", "4x4x1-3c3-3", "5x5x3-5c3-6c3s2-4", "4x4x2-3c3-sew5-4")


def mixed(network: Network, cfg: CoreConfig, seed: int) -> Network:
    """The network with neurons of the core's, most of which learn thresholds, at random."""
    rng, nodes = np.random.default_rng(seed), list(network.nodes)
    for n, node in enumerate(nodes):
        if node.kind == "neuron":
            kind = cfg.neurons[rng.integers(len(cfg.neurons))]
            nodes[n] = replace(
                node, neuron=kind.charge, reset=kind.reset, surrogate=kind.surrogate, detach=kind.detach,
                learn_threshold=("layer", "channel")[rng.integers(2)] if kind.threshold else "none",
                threshold=float(rng.uniform(0.2, 0.5)),
            )  # fmt: skip
    return replace(network, nodes=tuple(nodes))


def spread_thresholds(bench: StepBench, rng):
    """Thresholds that differ from channel to channel, on both."""
    bits = bench.golden.bits(Space.WEIGHTS)
    for layer in bench.network.learns:
        values = rng.uniform(0.1, 0.7, bits[layer.leak_name].shape)
        bits[layer.leak_name] = to_bits(values, bench.golden.fmt)
    bench.golden.load(Space.WEIGHTS, bits)
    bench.session.load(Space.WEIGHTS, bits)


@pytest.mark.parametrize("changes, stalls", [
    ({}, None), ({"others": MIXED, "lanes": 4} | SHORT, 7),
    ({"surrogate": "triangle", "others": "lif/hard/triangle/threshold,lif/soft/rectangle/threshold"}, 3),
    (CHUNKS | WALKS | {"gradient_bits": 48, "spare": 1, "surrogate": "atan", "others": MIXED}, None),
    (BF16 | {"others": "lif/soft/atan/threshold", "timesteps": 3}, None),
])  # fmt: skip
def test_networks(changes, stalls):
    core, cfg = core_of("TINY", stalls, **OWN | changes)
    rng, fired, settings = np.random.default_rng(4), 0, NeuronSettings.of(cfg)
    for number, text in enumerate(NETWORKS):
        bench = StepBench(mixed(Network.parse(text), cfg, number), settings, cfg, core, number)
        spread_thresholds(bench, rng)
        fired += check(bench, rng, text)
    assert fired > 20


@pytest.mark.parametrize("how", ["layer", "channel"])
def test_thresholds_move(how):
    """All channels of a layer that shares one alike, else each by itself."""
    core, cfg = core_of("TINY", None, **OWN)
    settings = replace(NeuronSettings.of(cfg), learn_threshold=how, threshold=0.25)
    network = with_leaks(Network.parse("9-7-5-3"), settings)
    bench, rng = StepBench(network, settings, cfg, core), np.random.default_rng(1)
    before = bench.golden.bits(Space.WEIGHTS)
    assert train(bench, rng, 5, 0.5)[0] is None
    for layer in network.learns:
        assert layer.leak_name.endswith(".threshold")
        assert (before[layer.leak_name] == to_bits(0.25, bench.golden.fmt)).all()
        moved = bench.session.read(Space.WEIGHTS)[layer.leak_name].astype(int) - before[layer.leak_name]
        assert moved.any() and (len(set(moved.tolist())) == 1) == (how == "layer")


def test_thresholds_that_no_neuron_learns():
    with pytest.raises(TridentError, match="a plif neuron learns its leak: learn_threshold must be none"):
        NeuronSettings(neuron="plif", learn_threshold="layer")
    with pytest.raises(TridentError, match="a leaky neuron learns its leak, and no threshold beside it"):
        NeuronKind.parse("leaky/hard/atan/threshold")
    with pytest.raises(TridentError, match="learn_threshold must be none or layer or channel, not 'all'"):
        NeuronSettings(learn_threshold="all")
    with pytest.raises(TridentError, match="a readout has no threshold that is learned"):
        NeuronKind.parse("lif/mean/threshold")
    with pytest.raises(TridentError, match="thresholds that are learned need exact gradients"):
        CoreConfig.preset("TINY", others="lif/hard/rectangle/threshold")
