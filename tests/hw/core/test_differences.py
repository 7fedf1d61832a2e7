"""What a core's differences from golden and its faults are reported as."""

import numpy as np
import pytest

from tests.hw.core.benches import PLANES, TRIANGLE, batch_of, bench_of, constants_of, train
from trident.host.driver import driver, session
from trident.host.train.step_bench import StepBench
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.hw.isa.spaces import Space
from trident.hw.isa.tokens import Token
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings


# What a difference is reported as
def test_corrupted_weight_is_found_where_it_first_acts():
    """A weight of a channel that spikes: the potential of its output, in the first sample and timestep."""
    bench, rng = bench_of("6-5-3", spike_words=1024, error_words=512, **TRIANGLE), np.random.default_rng(3)
    state = bench.session.read(Space.WEIGHTS)
    state["linear1.weight"][0, 4, 3] ^= 0x200
    bench.session.load(Space.WEIGHTS, state)
    spikes, labels = batch_of(bench, rng, 4, 0.5)
    spikes[0, :2] = 0
    spikes[0, 2] = 1
    mismatch, _ = bench.step(spikes, labels, constants_of(bench, 4), 256)
    assert (mismatch.unit, mismatch.what, mismatch.layer, mismatch.sample, mismatch.step) == (
        "neuron", "potentials", 0, 0, 2,
    )  # fmt: skip
    assert mismatch.index == (("y", 0), ("x", 0), ("channel", 3))
    assert mismatch.expected != mismatch.found and 0 < mismatch.cycle <= bench.chip.cycles
    where = "neuron: potentials at layer 0, sample 0, timestep 2, y 0, x 0, channel 3: expected 0x"
    assert str(mismatch).startswith(where)


def test_corrupted_weight_of_a_silent_channel_is_found_after_the_update():
    bench, rng = bench_of("6-5-3", spike_words=1024, error_words=512), np.random.default_rng(4)
    state = bench.session.read(Space.WEIGHTS)
    state["linear1.weight"][0, 4, 3] ^= 1
    bench.session.load(Space.WEIGHTS, state)
    spikes, labels = batch_of(bench, rng, 4, 0.5)
    spikes[..., 4] = 0
    mismatch, _ = bench.step(spikes, labels, constants_of(bench, 4), 256)
    assert (mismatch.unit, mismatch.what, mismatch.layer) == ("update", "weights of linear1.weight", 0)
    assert mismatch.index == (("tap", 0), ("in", 4), ("out", 3))
    assert mismatch.expected ^ mismatch.found == 1


def test_corrupted_bias_momentum_is_found():
    bench, rng = bench_of("6-5-3", spike_words=1024, error_words=512), np.random.default_rng(5)
    state = bench.session.read(Space.MOMENTUM)
    state["linear2.bias"][2] = bench.cfg.format.one
    bench.session.load(Space.MOMENTUM, state)
    mismatch, _ = train(bench, rng)
    assert (mismatch.unit, mismatch.what, mismatch.layer) == ("update", "momentum of linear2.bias", 1)
    assert mismatch.index == (("out", 2),)


# Faults
@pytest.mark.parametrize(
    "network, loss_scale",
    [("9-5-3", 2**15), ("9-5-3", 2**18), ("9-5-3", 2**20), ("3x3x2-3c3-3", 2**16), ("3x3x2-3c3-3", 2**20)],
)
def test_overflow_of_gradients_skips_the_update(network, loss_scale):
    """From a loss table near the largest number, and with infinities in it."""
    bench, rng = bench_of(network, spike_words=1024, error_words=512), np.random.default_rng(6)
    mismatch, found = train(bench, rng)
    assert mismatch is None and not found.all_faults
    before = {space: bench.session.read(space) for space in (Space.WEIGHTS, Space.MOMENTUM)}
    spikes, labels = batch_of(bench, rng, 6, 0.9)
    mismatch, found = bench.step(spikes, labels, constants_of(bench, 6, loss_scale), loss_scale)
    assert mismatch is None, mismatch
    assert found.all_faults & GRADIENT_FAULTS
    for space, tensors in before.items():
        after = bench.session.read(space)
        assert all((after[name] == values).all() for name, values in tensors.items())
    assert not any(values.any() for values in bench.session.read(Space.GRADIENTS).values())
    mismatch, found = train(bench, rng)
    assert mismatch is None and not found.all_faults, "the next minibatch is whole again"


@pytest.mark.parametrize("layer", [0, 1])
def test_overflow_of_the_forward_pass_names_its_job(layer):
    bench, rng = bench_of("6-5-3", spike_words=1024, error_words=512), np.random.default_rng(7)
    for n in range(2):
        bench.golden.weights[f"linear{n + 1}.weight"][:] = 60000 if n == layer else 0.25
    bench.session.load(Space.WEIGHTS, bench.golden.bits(Space.WEIGHTS))
    mismatch, found = bench.infer(batch_of(bench, rng, 3, 1.0)[0])
    assert mismatch is None, mismatch
    assert found.faults == (1 << Fault.FORWARD | 1 << Fault.NEURON,)
    assert found.jobs == (bench.session.plan.plans[0].job("forward", layer),)
    assert found.describe(bench.session.plan).startswith("core 0: forward, neuron: first in")
    assert f"forward of layer {layer + 1}" in found.describe(bench.session.plan)


def test_infinite_weights_of_real_values():
    """However small the plane that they are multiplied by, they are left out."""
    bench = bench_of("6-5-3", spike_words=1024, error_words=512, **PLANES | {"timesteps": 8})
    bench.golden.weights["linear1.weight"][:, 2:4, 1:3] = np.inf
    bench.session.load(Space.WEIGHTS, bench.golden.bits(Space.WEIGHTS))
    mismatch, found = bench.infer(batch_of(bench, np.random.default_rng(7), 3, 0.5)[0])
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
    spikes, labels = batch_of(bench, np.random.default_rng(8), 1, 0.3)
    what = rf"core 0: send, instruction {job} \(send of the spikes of layer 2 .*\), waits for GO"
    with pytest.raises(driver.CoreStuck, match=what):
        bench.session.run(spikes, labels, train=False)
    assert link.cycles < 100_000
    link.close()
