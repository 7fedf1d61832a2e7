"""Cores whose neurons take the sums of several branches, of which some read spikes of timesteps before."""

from dataclasses import replace

import numpy as np
import pytest

from tests.hw.core.benches import (
    BF16,
    NORM,
    SHORT,
    STANDARD,
    WALKS,
    batch_of,
    check,
    check_chip,
    constants_of,
    core_of,
    train,
)
from trident.host.mapping.activity import measure
from trident.host.mapping.cost import CostModel
from trident.host.mapping.prediction import predict
from trident.host.train.spec import RunSpec
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.planes import Planes
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.data.encoding import encode
from trident.snn.network.builder import Builder
from trident.snn.network.leaks import with_leaks
from trident.snn.network.network import Network
from trident.snn.network.nodes import INPUT
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

SERIAL = WALKS | {
    "timesteps": 1, "chunks": 5, "gradient_bits": 40, "program_words": 1024, "carry_words": 256, "error_words": 4096,
}  # fmt: skip
SYNAPTIC = {"charge": "synaptic", "reset": "soft", "surrogate": "atan", "detach": False}
ADAM = {"optimiser": "adamw-decay", "reset": "soft", "surrogate": "triangle", "loss": "softmax"}


def branching_network(rng, cfg: CoreConfig) -> Network:
    """Up to two layers of a small image or a vector whose neurons take the sums of one to three branches, and a linear
    layer; some branches read what was timesteps ago where a spike word has one timestep."""
    side = int(rng.choice([1, 3]))
    build = Builder((side, side, int(rng.integers(1, 4))))
    serial = cfg.timesteps == 1 and cfg.chunks > 1
    planes = None
    if cfg.planes and rng.random() < 0.7:
        planes = Planes(int(rng.integers(1, 4)), int(rng.integers(-4, 1)), bool(rng.integers(2)), still=False)
    fired = [INPUT]
    for number in range(1, int(rng.integers(2, 4))):
        channels, sums = int(rng.integers(2, 6)), []
        own = f"neuron{number}"
        for branch in range(int(rng.integers(1, 4)) if number > 1 or serial else int(rng.integers(2, 4))):
            sources = [*fired, own] if serial else fired[-2:]
            source = sources[rng.integers(len(sources))] if branch else fired[-1]
            delay = int(rng.integers(1, 4)) if serial and branch and (source == own or rng.random() < 0.4) else 0
            edge = f"{source}[t-{delay}]" if delay else source
            kernel = int(rng.choice([1, 3])) if side > 1 else 1
            sums.append(build.add(
                "conv", edge, channels=channels, kernel=kernel, padding=kernel // 2, bias=bool(rng.integers(2)),
                standardise=cfg.standardise and bool(rng.integers(2)) and (source != INPUT or kernel > 1),
            ))  # fmt: skip
        sums = sums if len(sums) == 1 else [build.add("add", *sums)]
        build.add("neuron", sums[0], name=own, threshold=float(rng.uniform(0.2, 0.5)))
        fired.append(own)
    build.add("flatten", fired[-1])
    outputs = int(rng.integers(2, 7))
    last = [build.add("linear", outputs=outputs)]
    if rng.random() < 0.5:
        build.add("flatten", f"{fired[-1]}[t-1]" if serial else fired[-2])
        last.append(build.add("linear", outputs=outputs, bias=bool(rng.integers(2))))
        last = [build.add("add", *last)]
    build.add("neuron", last[0])
    return replace(build.network(), planes=planes)


@pytest.mark.parametrize("changes, stalls", [
    (SERIAL, None), (SERIAL | SYNAPTIC, 7), (SERIAL | ADAM | {"planes": True}, None),
    (SERIAL | SHORT | {"lanes": 4, "planes": True}, 7), (SERIAL | STANDARD, None),
    (WALKS, None), (WALKS | {"planes": True, "gradient_bits": 40}, 7), (WALKS | BF16 | STANDARD, None),
])  # fmt: skip
def test_random_networks(changes, stalls):
    """Densities from 0 to 100 %, minibatches of 1 to 6 samples, and forward passes alone."""
    core, cfg = core_of("TINY", stalls, **changes)
    rng, compared, several, late = np.random.default_rng(3), 0, 0, 0
    while compared < 8:
        network = branching_network(rng, cfg)
        try:
            bench = StepBench(network, NeuronSettings.of(cfg), cfg, core, compared)
        except TooLarge as fault:
            assert any(text in str(fault) for text in ("need jobs", "walks of 8")), fault
            continue
        compared += 1
        several += sum(bool(layer.branches) for layer in network.layers)
        late += sum(layer.recurrent for layer in network.layers)
        for density in (0.0, 0.1, 0.5, 1.0)[compared % 2 :: 2]:
            mismatch, _ = train(bench, rng, int(rng.integers(1, 7)), density)
            assert mismatch is None, f"{network}: {mismatch}"
        mismatch, _ = bench.infer(batch_of(bench, rng, 4, 0.4)[0])
        assert mismatch is None, f"{network}: {mismatch}"
    assert several > 4 and (late > 2 or cfg.chunks == 1)


@pytest.mark.slow
@pytest.mark.parametrize("text, share", [
    ("64-64rec-10", 0.03), ("64-32rec-10", 0.08), ("64-48-10", 0.03), ("64-48rec-10rec", 0.08),
])
def test_cycles_are_as_forecast(text, share):
    """Of a minibatch; where jobs are short, the sequencer takes as long as the engines to load them."""
    spec = RunSpec.make(net=text, train={"timesteps": 8})
    chip = VerilatedChip(spec.cfg)
    bench = StepBench(spec.network, spec.neuron, spec.cfg, chip)
    spikes, labels = encode(spec.dataset, spec.network, 8)[0][:16], spec.dataset.train_labels[:16]
    cost = CostModel(spec.network, spec.cfg, measure(spec.network, spec.cfg, spec.neuron, spikes, labels))
    constants = constants_of(bench, 16)
    bench.session.set_constants(constants, bench.golden.loss_constants(256))
    bench.session.run(spikes, labels, train=True, update=False)  # the program is there
    before = bench.session.driver.counters(0)["cycles"]
    bench.session.run(spikes, labels, train=True)
    measured = bench.session.driver.counters(0)["cycles"] - before
    chip.close()
    assert predict(cost, Partition.single(spec.network), 16).cycles == pytest.approx(measured, rel=share)


def test_words_of_several_timesteps_are_refused():
    """By the name of what needs words of one."""
    cfg = CoreConfig.preset("TINY", **SERIAL | {"timesteps": 2})
    with pytest.raises(TridentError, match="'recurrent1' reads spikes of t-1, for which a core has timesteps of 1"):
        StepBench(Network.parse("4-3rec-2"), NeuronSettings(), cfg, None)


def test_long_samples_have_many_jobs():
    """More than eight bits number; which of them waits for a token, of a sample that never comes, can be read."""
    cfg = CoreConfig.preset("TINY", **SERIAL | {"chunks": 70, "jobs": 1024, "error_words": 8192})
    chip = VerilatedChip(cfg)
    bench = StepBench(Network.parse("4-3rec-2"), NeuronSettings.of(cfg), cfg, chip)
    mismatch, found = train(bench, np.random.default_rng(1), 4)
    assert mismatch is None and found.counts.any(), str(mismatch)
    session, (plan,) = bench.session, bench.session.plan.plans
    session._send([session.driver.packets.start(session.routes[0], 1)])
    session._settle()
    waits = dict(session.driver.waits(0)[0])
    chip.close()
    assert waits["weight_grad"] == plan.job("weight_grad", 1) > 255 and waits["forward"] == plan.job("forward", 0) < 255


@pytest.mark.parametrize("changes, stalls", [
    (SERIAL, None), (SERIAL | ADAM | {"lanes": 4, "voters": 4, "others": "lif/hard/rectangle"}, 3),
])  # fmt: skip
def test_recurrent_outputs(changes, stalls):
    """Errors of the loss and of later timesteps, of one group of lanes and of several, with voters and convolutions."""
    (core, cfg), fired = core_of("TINY", stalls, **changes), 0
    build = Builder((2, 2, 2))
    build.add("conv", channels=5, kernel=3)
    build.add("neuron")
    build.add("flatten")
    build.add("linear", outputs=9)
    build.add("linear", "neuron2[t-1]", outputs=9)
    build.add("linear", "neuron2[t-3]", outputs=9, bias=False)
    build.add("add", "linear1", "linear2", "linear3")
    build.add("neuron", voters=3 if cfg.voters > 1 else 1, threshold=0.3)
    for number, network in enumerate((*map(Network.parse, ("5-4rec-3rec", "6-3rec", "7-9rec")), build.network())):
        bench = StepBench(network, NeuronSettings.of(cfg), cfg, core, number)
        assert [layer.neuron for layer in network.layers][-2:] == [network.output] * 2
        fired += check(bench, np.random.default_rng(number), str(network))
    assert fired > 20


def test_samples_of_two_timesteps():
    core, cfg = core_of("TINY", None, **SERIAL | {"chunks": 2})
    bench = StepBench(Network.parse("4-3rec-2"), NeuronSettings.of(cfg), cfg, core)
    mismatch, found = train(bench, np.random.default_rng(1), 4)
    assert mismatch is None and found.counts.any(), str(mismatch)


def test_copies_on_several_cores():
    check_chip("6-5rec-3", "2x1-2", 2, 1, **SERIAL)


def test_neurons_that_learn_their_leaks_may_be_recurrent():
    core, cfg = core_of("TINY", None, **SERIAL | {"charge": "plif", "error_words": 8192})
    settings = NeuronSettings.of(cfg)
    bench = StepBench(with_leaks(Network.parse("5-4rec-3"), settings), settings, cfg, core, 1)
    check(bench, np.random.default_rng(0), "5-4rec-3")


def test_branches_behind_a_batch_norm():
    """Of a layer above it, in a minibatch that is computed layer by layer."""
    build = Builder((3, 3, 2))
    build.add("conv", channels=3, kernel=3, bias=False)
    build.add("norm")
    build.add("neuron")
    build.add("conv", "neuron1", channels=4, kernel=3)
    build.add("conv", INPUT, channels=4, kernel=1, padding=0)
    build.add("add", "conv2", "conv3")
    build.add("neuron")
    build.add("flatten")
    build.add("linear", outputs=4)
    build.add("neuron")
    core, cfg = core_of("TINY", None, **NORM)
    bench = StepBench(build.network(), NeuronSettings.of(cfg), cfg, core, 1, minibatch=5)
    check(bench, np.random.default_rng(0), "branches behind a batch norm")
