"""One core alone under the fast simulation: every memory, fault and counter after training steps, against golden."""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.cocotb.placing import updates_of
from trident.boards.devices import design_of
from trident.host.driver import driver, session
from trident.host.train.step_bench import StepBench
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.hw.isa.planes import Planes
from trident.hw.isa.spaces import Space
from trident.hw.isa.tokens import Token
from trident.hw.lib.streams import random_stalls
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.builder import Builder
from trident.snn.network import Network
from trident.snn.settings import NeuronSettings

TRIANGLE = {"reset": "soft", "surrogate": "triangle", "timesteps": 5, "multiplier_subnormals": True}
SYNAPTIC = {
    "charge": "synaptic", "reset": "soft-after-leak", "surrogate": "sigmoid", "detach": False, "loss": "softmax",
    "optimiser": "adam-decay",
}  # fmt: skip
DECAYING = {
    "charge": "lif-decay-input", "surrogate": "superspike", "optimiser": "nesterov-decay", "loss": "softmax",
    "gradient_bits": 40,
}  # fmt: skip
CHUNKS = {
    "chunks": 3, "gradient_bits": 40, "jobs": 128, "program_words": 128, "spike_words": 4096, "error_words": 2048,
    "surrogate": "triangle", "carry_words": 256,
}  # fmt: skip
READOUT = {
    "others": "lif/mean,lif/last,lif/max,synaptic/soft/triangle,if/none/atan/attached", "loss": "membrane",
    "optimiser": "adam", "surrogate": "atan",
}  # fmt: skip
PLANES = {"planes": True, "others": "lif/hard/rectangle/still"}
POOL = {"pool": 2}
SHORT = {"short_paths": True, "prefetch_jobs": False}
BF16 = {"exp": 8, "frac": 7, "words": 1, "prefetch_jobs": False, "timesteps": 1}


@cache
def _core(preset: str, stalls: int | None = None, **changes) -> tuple[VerilatedChip, CoreConfig]:
    """One simulation per configuration, used by many tests one after another."""
    cfg = CoreConfig.preset(preset, **changes)
    with random_stalls(stalls) if stalls is not None else nullcontext():
        return VerilatedChip(cfg), cfg


def _bench(network: str, preset: str = "TINY", stalls: int | None = None, seed: int = 0, bias: bool = True, **changes):
    core, cfg = _core(preset, stalls, **changes)
    mixed = _mixed(Network.parse(network, bias), cfg, seed)
    if cfg.planes:
        mixed = replace(mixed, planes=_random_planes(np.random.default_rng(seed), cfg))
    return StepBench(mixed, NeuronSettings.of(cfg), cfg, core, seed)


def _random_planes(rng, cfg: CoreConfig) -> Planes:
    """Of up to so many bits as a spike word has timesteps, the last place mostly near 2**-8."""
    bits = int(rng.integers(1, min(cfg.timesteps, 8) + 1))
    return Planes(bits, int(rng.integers(-8, min(9 - bits, -3 if rng.random() < 0.7 else 8))), bool(rng.integers(2)))


def _mixed(network: Network, cfg: CoreConfig, seed: int) -> Network:
    """The network with neurons of the core's at random."""
    rng, nodes = np.random.default_rng(seed), list(network.nodes)
    kinds = [kind for kind in cfg.neurons if not (kind.readout or kind.still)]
    for n, node in enumerate(nodes):
        if node.kind == "neuron" and len(kinds) > 1:
            kind = kinds[rng.integers(len(kinds))]
            nodes[n] = replace(
                node, neuron=kind.charge, reset=kind.reset, surrogate=kind.surrogate, detach=kind.detach,
                threshold=float(rng.uniform(0.3, 0.7)),
            )  # fmt: skip
    return replace(network, nodes=tuple(nodes))


def _batch(bench: StepBench, rng, samples: int, density: float):
    shape = (samples, bench.cfg.steps, *bench.network.in_shape)
    spikes = (rng.random(shape) < density).astype(np.uint8)
    if bench.network.planes:
        spikes[:, bench.network.planes.bits :] = 0
    return spikes, rng.integers(0, bench.network.classes, samples)


def _constants(bench: StepBench, samples: int, loss_scale: float = 256) -> UpdateConstants:
    return updates_of(bench.cfg, samples, loss_scale)


def _train(bench: StepBench, rng, samples: int = 5, density: float = 0.3, loss_scale: float = 256):
    spikes, labels = _batch(bench, rng, samples, density)
    return bench.step(spikes, labels, _constants(bench, samples), loss_scale)


def _pooled_network(rng, channels: int, size: int) -> str:
    """A convolution whose spikes are pooled, perhaps another one, and a linear layer; the last pooled image is square
    where a linear layer reads it."""
    more = rng.random() < 0.5
    y, x = (size * int(n) for n in (rng.integers(1, 4, 2) if more else [rng.integers(1, 4)] * 2))
    kernel = (1, 3, 5)[rng.integers(3)]
    parts = [f"{y}x{x}x{rng.integers(1, 3)}", f"{rng.integers(1, 6)}c{kernel}", f"mp{size}"]
    if more:
        parts.append(f"{rng.integers(1, 4)}c{(1, 3)[rng.integers(2)]}")
    return "-".join([*parts, str(rng.integers(2, channels))])


def _random_network(rng, channels: int) -> str:
    """Up to three layers behind a vector or an image; only what fits a TINY core."""
    parts, image = [], rng.random() < 0.6
    if image:
        y, x = rng.integers(2, 5, 2)
        parts.append(f"{y}x{x}x{rng.integers(1, 3)}")
        kernel, stride = rng.integers(1, 8), rng.integers(1, 3)
        least = max(0, -((min(y, x) - kernel) // 2))  # padding, for the kernel to fit
        padding = rng.integers(least, min(kernel, least + 2))
        parts.append(f"{rng.integers(1, 3)}c{kernel}s{stride}p{padding}")
    else:
        parts.append(str(rng.integers(1, channels)))
        parts.append(str(rng.integers(1, channels)))
    return "-".join([*parts, str(rng.integers(2, channels))])


@pytest.mark.parametrize("network", ["24-20-5", "5x4x3-5c3-6c3s2-4"])
def test_small_core(network):
    """Longer than under cocotb, where all presets run."""
    bench, rng = _bench(network, "SMALL"), np.random.default_rng(1)
    for density in (0.2, 0.5):
        mismatch, found = _train(bench, rng, 16, density)
        assert mismatch is None, mismatch
        assert found.counts.shape == (16, bench.network.classes)


def test_core_of_the_smallest_board():
    """With queues for a packet and memories for a few words, as an iCE40UP5K has room for."""
    plan, rng = design_of("icebreaker", "core"), np.random.default_rng(6)
    chip = VerilatedChip(plan.cfg, plan.mesh)
    for network in ("12-8-4", "4x4x1-3c3s2-3"):
        bench = StepBench(Network.parse(network), NeuronSettings(), plan.cfg, chip, 0, plan.mesh)
        for density in (0.0, 0.3, 1.0):
            mismatch, _ = _train(bench, rng, 5, density)
            assert mismatch is None, f"{network}: {mismatch}"
        mismatch, _ = bench.infer(_batch(bench, rng, 4, 0.4)[0])
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
    (READOUT | {"exp": 8, "frac": 7, "timesteps": 5, "gradient_bits": 40}, None),
])  # fmt: skip
def test_random_networks(changes, stalls):
    """Every density from 0 to 100 %, with and without biases, minibatches of 1 to 7 samples."""
    rng = np.random.default_rng(2)
    compared = 0
    for n in range(16):
        pool = changes.get("pool", 1)
        network = _random_network(rng, 12) if pool == 1 else _pooled_network(rng, 12, pool)
        if changes.get("loss") == "membrane":
            network += ("r", "rlast", "rmax")[n % 3]
        sizes = {"spike_words": 1024, "error_words": 512} | changes
        bench = _bench(network, "TINY", stalls, n, bool(n % 3), **sizes)
        for density in (0.0, 0.1, 0.5, 1.0)[n % 2 :: 2]:
            mismatch, _ = _train(bench, rng, int(rng.integers(1, 8)), density)
            assert mismatch is None, f"{network}: {mismatch}"
            compared += bench.network.weights
        mismatch, _ = bench.infer(_batch(bench, rng, 4, 0.4)[0])
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
    core, cfg = _core("TINY", 3, **neuron.core(network.layers), loss="membrane", **chunks)
    assert len(cfg.neurons) == 4 and cfg.keeps_potentials
    bench = StepBench(network, neuron, cfg, core, 0)
    for density in (0.1, 0.5, 0.9):
        mismatch, found = _train(bench, rng, 4, density)
        assert mismatch is None, mismatch
        assert np.abs(found.counts).max() > 0


# What a difference is reported as
def test_corrupted_weight_is_found_where_it_first_acts():
    """A weight of a channel that spikes: the potential of its output, in the first sample and timestep."""
    bench, rng = _bench("6-5-3", spike_words=1024, error_words=512, **TRIANGLE), np.random.default_rng(3)
    state = bench.session.read(Space.WEIGHTS)
    state["linear1.weight"][0, 4, 3] ^= 0x200
    bench.session.load(Space.WEIGHTS, state)
    spikes, labels = _batch(bench, rng, 4, 0.5)
    spikes[0, :2] = 0
    spikes[0, 2] = 1
    mismatch, _ = bench.step(spikes, labels, _constants(bench, 4), 256)
    assert (mismatch.unit, mismatch.what, mismatch.layer, mismatch.sample, mismatch.step) == (
        "neuron", "potentials", 0, 0, 2,
    )  # fmt: skip
    assert mismatch.index == (("y", 0), ("x", 0), ("channel", 3))
    assert mismatch.expected != mismatch.found and 0 < mismatch.cycle <= bench.chip.cycles
    where = "neuron: potentials at layer 0, sample 0, timestep 2, y 0, x 0, channel 3: expected 0x"
    assert str(mismatch).startswith(where)


def test_corrupted_weight_of_a_silent_channel_is_found_after_the_update():
    bench, rng = _bench("6-5-3", spike_words=1024, error_words=512), np.random.default_rng(4)
    state = bench.session.read(Space.WEIGHTS)
    state["linear1.weight"][0, 4, 3] ^= 1
    bench.session.load(Space.WEIGHTS, state)
    spikes, labels = _batch(bench, rng, 4, 0.5)
    spikes[..., 4] = 0
    mismatch, _ = bench.step(spikes, labels, _constants(bench, 4), 256)
    assert (mismatch.unit, mismatch.what, mismatch.layer) == ("update", "weights of linear1.weight", 0)
    assert mismatch.index == (("tap", 0), ("in", 4), ("out", 3))
    assert mismatch.expected ^ mismatch.found == 1


def test_corrupted_bias_momentum_is_found():
    bench, rng = _bench("6-5-3", spike_words=1024, error_words=512), np.random.default_rng(5)
    state = bench.session.read(Space.MOMENTUM)
    state["linear2.bias"][2] = bench.cfg.format.one
    bench.session.load(Space.MOMENTUM, state)
    mismatch, _ = _train(bench, rng)
    assert (mismatch.unit, mismatch.what, mismatch.layer) == ("update", "momentum of linear2.bias", 1)
    assert mismatch.index == (("out", 2),)


# Faults
@pytest.mark.parametrize(
    "network, loss_scale",
    [("9-5-3", 2**15), ("9-5-3", 2**18), ("9-5-3", 2**20), ("3x3x2-3c3-3", 2**16), ("3x3x2-3c3-3", 2**20)],
)
def test_overflow_of_gradients_skips_the_update(network, loss_scale):
    """From a loss table near the largest number, and with infinities in it."""
    bench, rng = _bench(network, spike_words=1024, error_words=512), np.random.default_rng(6)
    mismatch, found = _train(bench, rng)
    assert mismatch is None and not found.all_faults
    before = {space: bench.session.read(space) for space in (Space.WEIGHTS, Space.MOMENTUM)}
    spikes, labels = _batch(bench, rng, 6, 0.9)
    mismatch, found = bench.step(spikes, labels, _constants(bench, 6, loss_scale), loss_scale)
    assert mismatch is None, mismatch
    assert found.all_faults & GRADIENT_FAULTS
    for space, tensors in before.items():
        after = bench.session.read(space)
        assert all((after[name] == values).all() for name, values in tensors.items())
    assert not any(values.any() for values in bench.session.read(Space.GRADIENTS).values())
    mismatch, found = _train(bench, rng)
    assert mismatch is None and not found.all_faults, "the next minibatch is whole again"


@pytest.mark.parametrize("layer", [0, 1])
def test_overflow_of_the_forward_pass_names_its_job(layer):
    bench, rng = _bench("6-5-3", spike_words=1024, error_words=512), np.random.default_rng(7)
    for n in range(2):
        bench.golden.weights[f"linear{n + 1}.weight"][:] = 60000 if n == layer else 0.25
    bench.session.load(Space.WEIGHTS, bench.golden.bits(Space.WEIGHTS))
    mismatch, found = bench.infer(_batch(bench, rng, 3, 1.0)[0])
    assert mismatch is None, mismatch
    assert found.faults == (1 << Fault.FORWARD | 1 << Fault.NEURON,)
    assert found.jobs == (bench.session.plan.plans[0].job("forward", layer),)
    assert found.describe(bench.session.plan).startswith("core 0: forward, neuron: first in")
    assert f"forward of layer {layer + 1}" in found.describe(bench.session.plan)


def test_infinite_weights_of_real_values():
    """However small the plane that they are multiplied by, they are left out."""
    bench = _bench("6-5-3", spike_words=1024, error_words=512, **PLANES | {"timesteps": 8})
    bench.golden.weights["linear1.weight"][:, 2:4, 1:3] = np.inf
    bench.session.load(Space.WEIGHTS, bench.golden.bits(Space.WEIGHTS))
    mismatch, found = bench.infer(_batch(bench, np.random.default_rng(7), 3, 0.5)[0])
    assert mismatch is None, mismatch
    assert found.faults == (1 << Fault.FORWARD,)


def test_missing_token_is_named(monkeypatch):
    """A program that waits for a token that nobody gives ends in a message, not in silence."""
    monkeypatch.setattr(session, "QUIET", 2000)
    cfg = CoreConfig.preset("TINY", spike_words=1024, error_words=512)
    link = VerilatedChip(cfg)  # its own, as it is left stuck
    bench = StepBench(Network.parse("6-5-3"), NeuronSettings(), cfg, link)
    plan = bench.session.plan
    programs = plan.programs(train=False)
    job = plan.plans[0].job("send")
    wait, post = programs[0].tokens[job]
    programs[0].tokens[job] = (*wait, Token.GO), post
    monkeypatch.setattr(plan, "programs", lambda *_: programs)
    spikes, labels = _batch(bench, np.random.default_rng(8), 1, 0.3)
    what = rf"core 0: send, instruction {job} \(send of the spikes of layer 2 .*\), waits for GO"
    with pytest.raises(driver.CoreStuck, match=what):
        bench.session.run(spikes, labels, train=False)
    assert link.cycles < 100_000
    link.close()


@pytest.mark.parametrize("changes", [{}, CHUNKS], ids=["", "chunks"])
def test_penalties_of_spikes(changes):
    """Of layers with neurons of two kinds; a loss scale that changes brings other numbers. Without them, errors
    differ."""
    others = "lif/hard/rectangle/penalty,synaptic/soft/atan/attached/penalty"
    core, cfg = _core("TINY", **changes | {"others": others, "surrogate": "atan"})
    build = Builder((1, 1, 6))
    build.add("linear", outputs=4)
    build.add("neuron", surrogate="rectangle", spike_penalty=0.4)
    build.add("linear", outputs=8)
    build.add("neuron", neuron="synaptic", reset="soft", detach=False, spike_penalty=0.25)
    build.add("linear", outputs=3)
    build.add("neuron")
    bench, rng = StepBench(build.network(), NeuronSettings.of(cfg), cfg, core), np.random.default_rng(3)
    for scale in (256, 64, 256):
        spikes, labels = _batch(bench, rng, 5, 0.4)
        loss = bench.golden.loss_constants(scale)
        errors = [
            next(deepcopy(bench.golden).train(spikes, labels, replace(loss, scale=own))).errors for own in (scale, 0.0)
        ]  # fmt: skip
        assert [bool((one != other).any()) for one, other in zip(*errors, strict=True)] == [True, True, False]
        mismatch, _ = bench.step(spikes, labels, _constants(bench, 5), scale)
        assert mismatch is None, mismatch


# Counters
def test_counters_of_a_small_case():
    """One linear layer of 7 inputs and 5 classes: what each unit does follows from the spikes."""
    bench, rng = _bench("7-5", spike_words=1024, error_words=512), np.random.default_rng(9)
    cfg, samples, steps, lanes = bench.cfg, 6, bench.cfg.timesteps, bench.cfg.lanes
    groups, blocks = -(-5 // lanes), -(-7 // lanes)
    spikes, labels = _batch(bench, rng, samples, 0.3)
    loss = bench.golden.loss_constants(256)
    bench.session.set_constants(_constants(bench, samples), loss)
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


# More timesteps than a spike word holds
def test_a_thousand_timesteps():
    """In 32 chunks, and 100 in chunks of 25."""
    for timesteps, chunks in ((32, 32), (25, 4)):
        bench = _bench(
            "6-5-3", "SMALL", None, timesteps=timesteps, chunks=chunks, jobs=256, program_words=512, surrogate="atan",
            spike_words=1024, error_words=512,
        )  # fmt: skip
        mismatch, found = _train(bench, np.random.default_rng(8), 2, 0.2)
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
