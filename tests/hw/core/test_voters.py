"""Cores of which several neurons of the last layer vote for a class."""

from dataclasses import replace

import numpy as np
import pytest

from tests.hw.core.benches import (
    CHUNKS,
    DECAYING,
    NORM,
    SHORT,
    STANDARD,
    SYNAPTIC,
    batch_of,
    constants_of,
    core_of,
    normed,
    random_network,
    train,
)
from trident.host.mapping.activity import measure
from trident.host.mapping.cost import CostModel
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

VOTERS = {"voters": 4, "spike_words": 1024, "error_words": 512}
NETWORKS = ("7-20v4", "9-5-9v3", "4x3x2-3c3-10v2", "6-8-5v1")


def bench_of(text: str, core, cfg: CoreConfig, seed: int, bias: bool = True) -> StepBench:
    network = Network.parse(text, bias)
    if cfg.batch_norm:
        network = normed(network, seed)
    if cfg.standardise:
        network = replace(network, nodes=tuple(
            replace(node, standardise=True) if node.kind == "linear" else node for node in network.nodes
        ))  # fmt: skip
    return StepBench(network, replace(NeuronSettings.of(cfg), threshold=0.25), cfg, core, seed, minibatch=5)


@pytest.mark.parametrize("changes, stalls", [
    ({}, None), (CHUNKS | {"loss": "softmax"}, 7), (CHUNKS, 5), (SYNAPTIC | SHORT, 3), (DECAYING | {"lanes": 4}, None),
    (NORM, None), (STANDARD | {"lanes": 4, "loss_tables": 20, "gradient_bits": 48}, 7),
])  # fmt: skip
def test_networks(changes, stalls):
    """Classes that fill the lanes and that do not, with and without biases; then random networks."""
    core, cfg = core_of("TINY", stalls, **VOTERS | changes)
    rng, fired = np.random.default_rng(4), 0
    drawn = []
    for _ in range(6):
        *parts, classes = random_network(rng, 8).split("-")
        voters = int(rng.integers(2, cfg.voters + 1))
        drawn.append("-".join([*parts, f"{int(classes) * voters}v{voters}"]))
    for number, text in enumerate((*NETWORKS, *drawn)):
        bench = bench_of(text, core, cfg, number, bool(number % 3))
        for density in (0.2, 0.7):
            mismatch, found = train(bench, rng, 5, density)
            assert mismatch is None, f"{text}: {mismatch}"
            assert found.counts.shape == (5, bench.network.classes)
            fired = max(fired, int(found.counts.max()))
        assert bench.infer(batch_of(bench, rng, 3, 0.4)[0])[0] is None
    assert fired > cfg.steps  # more than one neuron can


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"loss": "softmax", "gradient_bits": 48}], ids=["table", "softmax"])
def test_chips(changes):
    """Pipelines, slices of the layer before, and replicas."""
    cfg = CoreConfig.preset("TINY", **VOTERS | changes)
    mesh = mesh_for(cfg, MeshConfig(width=3, height=2))
    chip, rng = VerilatedChip(cfg, mesh), np.random.default_rng(3)
    for text, partition in (("7-6-20v4", "1,2"), ("9-8-9v3", "2x1/2,2"), ("8-5-10v2", "3x1-2")):
        network = Network.parse(text)
        neuron, own = replace(NeuronSettings.of(cfg), threshold=0.25), Partition.parse(partition, network, cfg.lanes)
        bench = StepBench(network, neuron, cfg, chip, 1, mesh, own)
        for density in (0.2, 0.7):
            mismatch, found = train(bench, rng, 7, density)
            assert mismatch is None, f"{text}, {partition}: {mismatch}"
            assert found.counts.shape == (7, network.classes) and found.counts.any()
    chip.close()


@pytest.mark.parametrize("changes", [{}, {"loss": "softmax"}], ids=["table", "softmax"])
def test_cycles_of_a_loss(changes):
    """What voters add is forecast but for a few cycles in which the loss reads on while neuron_grad is busy."""
    core, cfg = core_of("TINY", None, **VOTERS | changes)
    off = []
    for text in ("6-3", "6-12v4", "6-6v2", "6-5", "6-10v2", "6-20v4"):
        bench, rng = bench_of(text, core, cfg, 0), np.random.default_rng(1)
        spikes, labels = batch_of(bench, rng, 1, 0.5)
        bench.session.set_constants(constants_of(bench, 1), bench.golden.loss_constants(256))
        core.record()
        bench.session.run(spikes, labels, train=True)
        (taken,) = [end - start for _, queue, start, end in core.intervals() if queue == "receive"]
        core.record(0)
        cost = CostModel(bench.network, cfg, measure(bench.network, cfg, NeuronSettings.of(cfg), spikes, labels))
        off.append(cost.loss(bench.network.layers[-1].out_channels) - cost.job_start - taken)
    assert all(max(own) - min(own) <= 10 for own in (off[:3], off[3:]))
    assert "loss" in changes or (min(off) > -2 and max(off) < 15)  # it takes no more than what is forecast


@pytest.mark.parametrize("text", ["16-12-36v4", "16-12-20v2", "16-12-9"])
def test_cycles_of_engines(text):
    """As close to what is forecast with voters as without: a job begins and ends in as many cycles."""
    core, cfg = core_of("TINY", None, **VOTERS)
    bench, rng = bench_of(text, core, cfg, 0), np.random.default_rng(2)
    spikes, labels = batch_of(bench, rng, 1, 0.5)
    bench.session.set_constants(constants_of(bench, 1), bench.golden.loss_constants(256))
    core.record()
    bench.session.run(spikes, labels, train=True)
    found = core.intervals()
    core.record(0)
    settings = replace(NeuronSettings.of(cfg), threshold=0.25)
    cost = CostModel(bench.network, cfg, measure(bench.network, cfg, settings, spikes, labels))
    last = 1, 0, bench.network.layers[1].out_channels
    for queue, jobs, forecast, few in (
        ("forward", slice(1, 2), cost.forward(*last) - cost.job_start, 5),
        ("backward", slice(0, 1), cost.backward(0) - cost.job_start, 5),
        ("weight_grad", slice(0, 1), cost.weight_grad(*last) - cost.job_start, 4),
        ("update", slice(-2, None), cost.update(*last), 22),
    ):  # fmt: skip
        taken = [end - start for _, own, start, end in found if own == queue][jobs]
        assert sum(taken) - forecast == few, queue


# What is refused
@pytest.mark.parametrize("changes, network, words", [
    ({"voters": 1}, "6-12v4", "'neuron1', of 4 voters for a class, needs several voters for a class, which a core with "
     "voters of 1 or a shared_engine has not"),
    ({"voters": 3}, "6-12v4", "the core has voters of 3, 'neuron1' needs 4"),
    ({"loss": "membrane"}, "6-12v4", "voters of 4 count spikes, so the loss cannot be membrane"),
    ({"voters": 0}, "6-3", "voters must be a whole number from 1 to 256, not 0"),
    ({"voters": 256, "loss_tables": 100}, "6-3", "loss_tables of 100 with 4 timesteps of 256 voters take 524288 ent"),
])  # fmt: skip
def test_what_a_core_has_not(changes, network, words):
    with pytest.raises(TridentError) as refused:
        cfg = CoreConfig.preset("TINY", **VOTERS | changes)
        StepBench(Network.parse(network), NeuronSettings.of(cfg), cfg, None)
    assert words in str(refused.value)
