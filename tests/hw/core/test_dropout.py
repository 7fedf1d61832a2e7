"""Cores that drop spikes in training."""

from copy import deepcopy

import numpy as np
import pytest

from tests.hw.core.benches import (
    CHUNKS,
    NORM,
    POOL,
    SHORT,
    WALKS,
    batch_of,
    check_words,
    constants_of,
    core_of,
    normed,
    train,
)
from trident.host.mapping.unit_cycles import drop_cycles
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.leaks import with_leaks
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

DROPOUT = WALKS | {"dropout": True, "planes": True, "others": "lif/hard/rectangle/averaged"}
ATAN = {"surrogate": "atan", "others": "lif/hard/atan/pooled/averaged", "gradient_bits": 48}
ATTACHED = {"detach": False, "others": "lif/hard/atan/attached/pooled/averaged"}
TRIANGLE = {"surrogate": "triangle", "others": "lif/hard/triangle/pooled/averaged"}
NETWORKS = ("9-7-drop-5-3", "9-20-drop0.875-3", "3x5x2-5c3-drop-4c3s2-drop0.75-3")
SHARES = ("9-20-drop0.4-3", "9-40-drop0.1-6", "4x4x3-8c3-drop0.2-6c3s2-drop-4")
POOLED = ("4x6x1-5c3-mp2-drop-3c3-3", "4x4x2-3c3-mp2-drop0.75-7-drop-3")
ENDS = 6  # cycles of a job in which no word is read
SQUARE = ("9-7-drop-5-3", "4x4x2-5c3-drop-4c3s2-drop0.75-3", "4x4x1-3c3-mp2-drop-5-drop-3")


@pytest.mark.parametrize("changes, texts, stalls", [
    ({}, NETWORKS, None), (ATAN | SHORT, NETWORKS, 7), (CHUNKS | WALKS | TRIANGLE, NETWORKS, None),
    (POOL, POOLED, 3), (POOL | ATAN | ATTACHED | {"lanes": 4, "backward_cols": 2}, POOLED, None),
    (POOL | CHUNKS | WALKS | {"surrogate": "rectangle"}, POOLED, 5),
    (NORM | POOL | ATAN, NETWORKS + POOLED, None),
    (NORM | {"lanes": 1, "timesteps": 3, "gradient_bits": 16}, NETWORKS, None),
    ({"window": 2, "sum_words": 512, "winner_words": 512},
     ("4x6x1-5c3m2-drop-3", "6x6x2-3c3m2-drop0.75-3c3-drop-4"), 7),
    (POOL | NORM | {"charge": "plif", "others": "plif/hard/rectangle/averaged", "gradient_bits": 48}, SQUARE, None),
    ({"others": "lif/hard/rectangle/averaged", "optimiser": "nesterov-decay"}, SHARES, 3),
    (POOL | NORM | ATAN | {"others": "lif/hard/atan/pooled,lif/hard/atan/pooled/averaged", "optimiser": "adam-decay"},
     (*SHARES, "4x6x1-5c3-mp2-drop0.3-3c3-3"), None),
])  # fmt: skip
def test_networks(changes, texts, stalls):
    """All memories, in training and in inference, where nothing is dropped."""
    core, cfg = core_of("TINY", stalls, **DROPOUT | changes)
    rng, fired, settings = np.random.default_rng(4), 0, NeuronSettings.of(cfg)
    for number, text in enumerate(texts):
        network = with_leaks(Network.parse(text), settings)
        if cfg.batch_norm:
            network = normed(network, number)
        bench = StepBench(network, settings, cfg, core, number, minibatch=5)
        for density in (0.3, 0.7):
            mismatch, found = train(bench, rng, 5, density)
            assert mismatch is None, f"{text}: {mismatch}"
            fired += int(found.counts.sum())
        mismatch, found = bench.infer(batch_of(bench, rng, 3, 0.6)[0])
        assert mismatch is None, f"{text}: {mismatch}"
        fired += int(found.counts.sum())
    assert fired > 20


def test_weights_of_inference():
    """In between, the cores have others; weights that are read and loaded are always those of training."""
    core, cfg = core_of("TINY", None, **DROPOUT)
    network, rng = Network.parse("9-40-drop0.4-3"), np.random.default_rng(1)
    bench = StepBench(network, NeuronSettings.of(cfg), cfg, core, 1)
    for _ in range(2):
        assert train(bench, rng)[0] is None
        held = bench.session.read(Space.WEIGHTS)
        mismatch, tested = bench.infer(batch_of(bench, rng, 4, 0.6)[0])
        assert mismatch is None and tested.counts.any(), str(mismatch)
        for name, bits in bench.session.read(Space.WEIGHTS).items():
            assert (bits == held[name]).all() and (bits == bench.golden.bits(Space.WEIGHTS)[name]).all()
    other = {name: np.flip(bits) for name, bits in held.items()}
    bench.session.load(Space.WEIGHTS, other)  # while the cores have the weights of inference
    bench.golden.load(Space.WEIGHTS, other)
    assert bench.infer(batch_of(bench, rng, 4, 0.6)[0])[0] is None
    assert train(bench, rng)[0] is None


def test_each_minibatch_drops_others():
    """What is dropped differs from sample to sample, minibatch to minibatch and seed to seed."""
    network, cfg = Network.parse("9-40-drop-3"), CoreConfig.preset("SMALL", **DROPOUT)
    spikes, labels, seen = np.ones((4, cfg.steps, *network.in_shape), np.uint8), np.zeros(4, int), []
    for seed, minibatch in ((0, 0), (0, 1), (1, 0), (0, 0)):
        golden = GoldenTrainer(network, NeuronSettings(threshold=0.01), cfg, 3)
        golden.seed, golden.minibatch = seed, minibatch
        (trace,) = golden.train(spikes, labels, golden.loss_constants(256))
        left = trace.pooled[0].any(axis=3).reshape(4, -1)
        assert (trace.pooled[0] <= trace.spikes[0]).all() and (left[0] != left[1]).any()
        seen.append(left.tobytes())
    assert seen[0] == seen[3] and len(set(seen)) == 3


def test_copies_of_a_core():
    """A sample has its number in the minibatch wherever it is, so with copies the exact gradients are the same."""
    cfg = CoreConfig.preset("TINY", **DROPOUT | ATAN)
    mesh, network = MeshConfig(width=3, height=1), Network.parse("9-12-drop-3")
    chip = VerilatedChip(cfg, mesh)
    bench = StepBench(
        network, NeuronSettings.of(cfg), cfg, chip, 2, mesh, Partition.parse("3x1-2", network, cfg.lanes)
    )  # fmt: skip
    alone = GoldenTrainer(network, NeuronSettings.of(cfg), cfg, 2)
    rng, loss = np.random.default_rng(0), bench.golden.loss_constants(256)
    for _ in range(2):
        spikes, labels = batch_of(bench, rng, 7, 0.5)
        list(alone.train(spikes, labels, loss))
        several = deepcopy(bench.golden)
        list(several.train(spikes, labels, loss))
        several.reduce()
        for name, gradient in alone.gradients[0].items():
            assert gradient.any() and (several.gradients[0][name] == gradient).all()
        mismatch, _ = train(bench, rng, 7, 0.5)
        assert mismatch is None, str(mismatch)
        alone.load(Space.WEIGHTS, bench.golden.bits(Space.WEIGHTS))
        alone.minibatch += 1
        for values in alone.gradients[0].values():
            values[:] = 0
    chip.close()



@pytest.mark.parametrize("text, changes, partition, words", [
    ("9-7-drop-3", {"dropout": False}, "1x1-2", "operation drop needs a dropout unit, which a core without dropout"),
    ("9-7-drop-3", {"planes": False}, "1x1-2", "'linear3' reads what a dropout leaves, which needs planes of real"),
    ("9-7-drop-3", {}, "1,2", "partition 1,2: a network with a dropout, here behind 'neuron1', is on one core"),
    ("9-7-drop-3", {"others": ""}, "1x1-2", "'neuron1' is a neuron lif/hard/rectangle/averaged, which the core has "),
    ("9-7-drop-3", {"detach": False}, "1x1-2", "'neuron1': pooled or dropped spikes with a reset that is not deta"),
])  # fmt: skip
def test_dropouts_that_a_core_has_not(text, changes, partition, words):
    with pytest.raises(TridentError, match=words):
        cfg, network = CoreConfig.preset("TINY", **DROPOUT | changes), Network.parse(text)
        settings, mesh = NeuronSettings.of(cfg), MeshConfig(width=2, height=1)
        StepBench(network, settings, cfg, None, 0, mesh, Partition.parse(partition, network, cfg.lanes))


@pytest.mark.parametrize("text, changes", [("16-100-drop-9", {}), ("4x6x1-7c3-drop0.75-3", {}),
                                           ("4x6x1-7c3-mp2-drop-3c1-3", POOL)])  # fmt: skip
def test_cycles(text, changes):
    """Those that the mapper forecasts for a job, in training, and a few that do not depend on what it drops; where
    nothing is dropped, a cycle for each mask."""
    core, cfg = core_of("TINY", None, **DROPOUT | changes)
    bench, rng = StepBench(Network.parse(text), NeuronSettings.of(cfg), cfg, core), np.random.default_rng(0)
    layer, (spikes, labels) = bench.network.layers[0], batch_of(bench, rng, 1, 0.5)
    bench.session.set_constants(constants_of(bench, 1), bench.golden.loss_constants(256))
    y, x, channels = layer.pooled_shape
    words, taken = y * x * -(-channels // cfg.lanes), []
    for trains in (True, False):
        core.record()
        bench.session.run(spikes, labels, train=trains)
        taken.append([end - start for _, queue, start, end in core.intervals() if queue == "forward"])
        core.record(0)
    number = 2 if layer.pool > 1 else 1  # behind the jobs of forward and pool
    assert [own[number] for own in taken] == [
        drop_cycles(layer.pool) * words + ENDS, layer.pool**2 * words + ENDS,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["9-7-drop-5-3", "4x6x1-5c3-mp2-drop-3c3-3", "4x6x1-5c3-mp2-3c3-drop-3"])
def test_words(text):
    check_words(text, **DROPOUT | POOL)
