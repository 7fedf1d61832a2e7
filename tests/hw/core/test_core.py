"""One core alone under the fast simulation: every memory, fault and counter after training steps, against golden."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from tests.hw.core.benches import (
    BF16,
    CHUNKS,
    DECAYING,
    PLANES,
    POOL,
    PRUNED,
    PRUNED_ADAM,
    READOUT,
    SHORT,
    STANDARD,
    SYNAPTIC,
    TRIANGLE,
    batch_of,
    bench_of,
    constants_of,
    core_of,
    pooled_network,
    random_network,
    train,
)
from trident.boards.devices import design_of
from trident.host.mapping.activity import measure
from trident.host.mapping.cost import CostModel
from trident.host.train.step_bench import StepBench
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.builder import Builder
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings


@pytest.mark.parametrize("network", ["24-20-5", "5x4x3-5c3-6c3s2-4"])
def test_small_core(network):
    """Longer than under cocotb, where all presets run."""
    bench, rng = bench_of(network, "SMALL"), np.random.default_rng(1)
    for density in (0.2, 0.5):
        mismatch, found = train(bench, rng, 16, density)
        assert mismatch is None, mismatch
        assert found.counts.shape == (16, bench.network.classes)


def test_core_of_the_smallest_board():
    """With queues for a packet and memories for a few words, as an iCE40UP5K has room for."""
    plan, rng = design_of("icebreaker", "core"), np.random.default_rng(6)
    chip = VerilatedChip(plan.cfg, plan.mesh)
    for network in ("12-8-4", "4x4x1-3c3s2-3"):
        bench = StepBench(Network.parse(network), NeuronSettings(), plan.cfg, chip, 0, plan.mesh)
        for density in (0.0, 0.3, 1.0):
            mismatch, _ = train(bench, rng, 5, density)
            assert mismatch is None, f"{network}: {mismatch}"
        mismatch, _ = bench.infer(batch_of(bench, rng, 4, 0.4)[0])
        assert mismatch is None, f"{network}: {mismatch}"
    chip.close()


@pytest.mark.parametrize("changes, stalls", [
    ({}, None), ({}, 7), (TRIANGLE, None), (BF16, None), (SHORT, 7), (SHORT | TRIANGLE, None), (SYNAPTIC, None),
    (SHORT | DECAYING, 7), (READOUT, None), (READOUT | CHUNKS | SHORT, 7), (CHUNKS, None),
    (CHUNKS | SHORT | SYNAPTIC | {"timesteps": 3}, 7), (PLANES | {"timesteps": 8}, None),
    (PLANES | SHORT | BF16 | {"timesteps": 9, "lanes": 1, "accumulators": 9, "gradient_bits": 40}, 7),
    (PLANES | CHUNKS | {"others": "lif/hard/triangle/still"}, None),
    (PLANES | SHORT | {"weight_grad_cols": 2, "words": 1}, 7), (POOL, None),
    (POOL | {"pool": 3, "words": 1} | SHORT, 7),
    (POOL | CHUNKS | {"others": "lif/hard/triangle/pooled"}, None),
    (POOL | PLANES | {"backward_cols": 2, "lanes": 4, "others": "lif/hard/rectangle/still"}, 7),
    (POOL | READOUT | {"others": "lif/hard/atan/pooled,lif/mean,lif/last,lif/max"}, None),
    (READOUT | {"exp": 8, "frac": 7, "timesteps": 5, "gradient_bits": 40}, None), (STANDARD, None),
    (STANDARD | SHORT | SYNAPTIC, 7),
    (STANDARD | DECAYING | {"exp": 8, "frac": 7, "lanes": 4, "backward_cols": 2, "weight_grad_cols": 2}, None),
    (PRUNED, None), (PRUNED_ADAM | SHORT, 7), (PRUNED_ADAM | STANDARD, None),
])  # fmt: skip
def test_random_networks(changes, stalls):
    """Every density from 0 to 100 %, with and without biases, minibatches of 1 to 7 samples."""
    rng = np.random.default_rng(2)
    compared = 0
    for n in range(16):
        pool = changes.get("pool", 1)
        network = random_network(rng, 12) if pool == 1 else pooled_network(rng, 12, pool)
        if changes.get("loss") == "membrane":
            network += ("r", "rlast", "rmax")[n % 3]
        sizes = {"spike_words": 1024, "error_words": 512} | changes
        bench = bench_of(network, "TINY", stalls, n, bool(n % 3), **sizes)
        for density in (0.0, 0.1, 0.5, 1.0)[n % 2 :: 2]:
            mismatch, _ = train(bench, rng, int(rng.integers(1, 8)), density)
            assert mismatch is None, f"{network}: {mismatch}"
            compared += bench.network.weights
        mismatch, _ = bench.infer(batch_of(bench, rng, 4, 0.4)[0])
        assert mismatch is None, f"{network}: {mismatch}"
    assert compared > 1000


def test_layers_with_neurons_of_their_own():
    """Four neurons on a core, with other constants where they are the same neuron, over two chunks of timesteps."""
    build = Builder((1, 1, 7))
    for outputs, own in (
        (9, {"neuron": "synaptic", "synapse": 0.75, "surrogate": "triangle", "window": 2.0}), (6, {"leak": 0.25}),
        (8, {"neuron": "if", "reset": "soft", "threshold": 0.75, "surrogate": "atan"}), (5, {"threshold": 0.25}),
    ):  # fmt: skip
        build.add("linear", outputs=outputs)
        build.add("neuron", **own)
    build.add("linear", outputs=4)
    build.add("readout", readout="max", neuron="if")
    network, neuron, rng = build.network(), NeuronSettings(), np.random.default_rng(4)
    chunks = {"chunks": 2, "gradient_bits": 40, "program_words": 128, "spike_words": 512, "error_words": 256}
    core, cfg = core_of("TINY", 3, **neuron.core(network.layers), loss="membrane", **chunks)
    assert len(cfg.neurons) == 4 and cfg.keeps_potentials
    bench = StepBench(network, neuron, cfg, core, 0)
    for density in (0.1, 0.5, 0.9):
        mismatch, found = train(bench, rng, 4, density)
        assert mismatch is None, mismatch
        assert np.abs(found.counts).max() > 0


@pytest.mark.parametrize("changes", [{}, CHUNKS], ids=["", "chunks"])
def test_penalties_of_spikes(changes):
    """Of layers with neurons of two kinds; a loss scale that changes brings other numbers. Without them, errors
    differ."""
    others = "lif/hard/rectangle/penalty,synaptic/soft/atan/attached/penalty"
    core, cfg = core_of("TINY", **changes | {"others": others, "surrogate": "atan"})
    build = Builder((1, 1, 6))
    build.add("linear", outputs=4)
    build.add("neuron", surrogate="rectangle", spike_penalty=0.4)
    build.add("linear", outputs=8)
    build.add("neuron", neuron="synaptic", reset="soft", detach=False, spike_penalty=0.25)
    build.add("linear", outputs=3)
    build.add("neuron")
    bench, rng = StepBench(build.network(), NeuronSettings.of(cfg), cfg, core), np.random.default_rng(3)
    for scale in (256, 64, 256):
        spikes, labels = batch_of(bench, rng, 5, 0.4)
        loss = bench.golden.loss_constants(scale)
        errors = [
            next(deepcopy(bench.golden).train(spikes, labels, replace(loss, scale=own))).errors for own in (scale, 0.0)
        ]  # fmt: skip
        assert [bool((one != other).any()) for one, other in zip(*errors, strict=True)] == [True, True, False]
        mismatch, _ = bench.step(spikes, labels, constants_of(bench, 5), scale)
        assert mismatch is None, mismatch


# Counters
def test_counters_of_a_small_case():
    """One linear layer of 7 inputs and 5 classes: what each unit does follows from the spikes."""
    bench, rng = bench_of("7-5", spike_words=1024, error_words=512), np.random.default_rng(9)
    cfg, samples, steps, lanes = bench.cfg, 6, bench.cfg.timesteps, bench.cfg.lanes
    groups, blocks = -(-5 // lanes), -(-7 // lanes)
    spikes, labels = batch_of(bench, rng, samples, 0.3)
    loss = bench.golden.loss_constants(256)
    bench.session.set_constants(constants_of(bench, samples), loss)
    traces = [trace.sample(0) for trace in bench.golden.train(spikes, labels, loss, at_once=1)]
    before = bench.session.driver.counters(0)
    bench.session.run(spikes, labels, train=True)
    after = bench.session.driver.counters(0)
    count = {name: after[name] - before[name] for name in after}

    fired = [spikes[n, :, 0, 0] for n in range(samples)]  # (T, inputs)
    assert count["forward.useful"] == groups * (spikes.sum() + samples * steps)  # every spike, and the bias each step
    assert count["forward.rows"] == groups * (sum(int(s.any(axis=0).sum()) for s in fired) + samples)
    assert count["forward.drained"] == samples * groups * steps
    passes = -(-groups // (cfg.accumulators // steps))
    assert count["forward.words"] == samples * blocks * passes
    assert count["mac.neuron"] == count["mac.neuron_grad"] == samples * groups * steps
    assert count["errors.writes"] == samples * groups * steps
    assert count["error_masks.writes"] == samples * groups
    assert count["spikes.writes"] == samples * (blocks + groups)
    useful = 0
    for trace, s in zip(traces, fired, strict=True):
        errors = np.zeros((steps, groups * lanes))
        errors[:, :5] = trace.errors[0][0, 0]
        rows = errors.reshape(steps, groups, lanes).any(axis=2)
        useful += int((rows * (s.sum(axis=1) + 1)[:, None]).sum())
    assert count["weight_grad.useful"] == useful
    assert count["backward.running"] == 0
    rows = blocks * groups * lanes + groups
    assert count["weights.writes"] == count["momentum.writes"] == rows
    assert count["mac.update"] == 2 * rows
    assert cfg.forward_cols == cfg.weight_grad_cols == 1


def test_cycles_of_a_standardised_update():
    """Within 2 % of what is forecast, with rows of all groups written once."""
    bench = bench_of("90-5-7-3", spike_words=1024, error_words=512, seed=2, **STANDARD)
    rng, cfg, session = np.random.default_rng(9), bench.cfg, bench.session
    spikes, labels = batch_of(bench, rng, 3, 0.3)
    session.set_constants(constants_of(bench, 3), bench.golden.loss_constants(256))
    before = session.driver.counters(0)
    session.run(spikes, labels, train=True)
    count = {name: value - before[name] for name, value in session.driver.counters(0).items()}
    cost = CostModel(bench.network, cfg, measure(bench.network, cfg, NeuronSettings.of(cfg), spikes, labels))
    layers = bench.network.layers
    forecast = sum(cost.update(layer.number, 0, layer.out_channels) for layer in layers)
    assert layers[0].standardised
    assert count["update.running"] == pytest.approx(forecast, rel=0.02)
    groups, blocks = ([-(-n // cfg.lanes) for n in sizes] for sizes in ((5, 7, 3), (90, 5, 7)))
    each = [n.fan_in if n.standardised else size * cfg.lanes for n, size in zip(layers, blocks, strict=True)]
    rows = sum(own * (size + 1) for own, size in zip(groups, each, strict=True))  # and one of biases
    assert count["weights.writes"] == count["momentum.writes"] == rows


# More timesteps than a spike word holds
def test_a_thousand_timesteps():
    """In 32 chunks, and 100 in chunks of 25."""
    for timesteps, chunks in ((32, 32), (25, 4)):
        bench = bench_of(
            "6-5-3", "SMALL", None, timesteps=timesteps, chunks=chunks, jobs=256, program_words=512, surrogate="atan",
            spike_words=1024, error_words=512,
        )  # fmt: skip
        mismatch, found = train(bench, np.random.default_rng(8), 2, 0.2)
        assert mismatch is None, mismatch
        assert found.counts.max() > 0.1 * bench.cfg.steps


def test_chunks_change_no_result():
    """24 timesteps at once or in chunks: the same bits."""
    rng = np.random.default_rng(9)
    spikes, labels = (rng.random((3, 24, 1, 1, 9)) < 0.3).astype(np.uint8), np.array([0, 2, 1])
    found = []
    for chunks in (1, 2, 6):
        cfg = CoreConfig.preset("SMALL", timesteps=24 // chunks, chunks=chunks, jobs=256, program_words=128)
        golden = GoldenTrainer(Network.parse("9-12-3"), NeuronSettings(), cfg)
        list(golden.train(spikes, labels, golden.loss_constants(256)))
        found.append(golden.bits(Space.GRADIENTS))
    assert all((found[0][name] == other[name]).all() for other in found[1:] for name in found[0])
    assert any(own.any() for own in found[0].values())
