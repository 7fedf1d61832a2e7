"""Cores with grouped and depthwise convolutions."""

from dataclasses import replace

import numpy as np
import pytest

from tests.hw.core.benches import (
    BF16,
    CHUNKS,
    NORM,
    POOL,
    SHORT,
    WALKS,
    bench_of,
    check,
    check_chip,
    check_cycles,
    check_networks,
    check_words,
    constants_of,
    core_of,
    train,
)
from trident.host.compile.chip_plan import ChipPlan
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.config import CoreConfig
from trident.snn.network.builder import Builder
from trident.snn.network.leaks import with_leaks
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings

GROUPS = {
    "kernels": True, "weight_rows": 2048, "spike_words": 2048, "error_words": 1024, "jobs": 256, "program_words": 512,
}  # fmt: skip
# Depthwise ones, of channels that fill words and that do not; groups that share words, that fill one and that fill more
NETWORKS = (
    "4x4x4-dw3-6c1-3", "5x4x8-8c3g4-dw3s2-3", "4x5x3-5c1-dw3s3x2-3", "3x6x16-8c1g2-dw1x3d1x2-8c1g4-3",
    "1x9x8-16c1x3g2-8c1x3g2-3", "12-9-3",
)  # fmt: skip
ONE = {"lanes": 1, "words": 1, "accumulators": 16}
FOUR = {"lanes": 4, "words": 4, "accumulators": 32}
EIGHT = {"lanes": 8, "words": 2, "accumulators": 64}


def fitting(lanes: int) -> tuple[str, ...]:
    """Those of the networks that a core of so many lanes takes."""
    return (*NETWORKS[:3], "1x9x16-16c1x3g2-16c1g8-3") if lanes == 8 else NETWORKS


@pytest.mark.parametrize("changes, stalls", [
    ({}, None), (FOUR | {"gradient_bits": 40, "weight_grad_cols": 2}, 3), (FOUR | SHORT | {"backward_cols": 2}, 5),
    (EIGHT | {"weight_grad_cols": 4, "gradient_bits": 48}, None), (BF16 | {"lanes": 4}, None),
    (CHUNKS | {"lanes": 4, "program_words": 512, "jobs": 512}, 7), (ONE | {"jobs": 1024, "program_words": 1024}, None),
])  # fmt: skip
def test_networks(changes, stalls):
    networks = fitting(changes.get("lanes", 2))
    assert check_networks(networks, stalls, **GROUPS | changes) > 10


def test_windows_before_groups_are_not_in_chunks():
    """The states of neurons would be those of another part."""
    windows = {"window": 2, "sum_words": 512, "winner_words": 512}
    with pytest.raises(TridentError, match="'neuron1' takes the largest sums of windows and a grouped convolution"):
        cfg = CoreConfig.preset("TINY", **GROUPS | CHUNKS | windows | {"program_words": 512, "jobs": 512})
        StepBench(Network.parse("4x4x2-4c3m2-dw3-3"), NeuronSettings.of(cfg), cfg, None)


@pytest.mark.parametrize("bias", [True, False])
def test_errors_that_are_too_large_are_faults(bias):
    """Of a group those alone that are added to it."""
    core, cfg = core_of("TINY", None, **GROUPS)
    network = Network.parse("4x4x4-dw3-4c1g2-3", bias)
    bench, rng = StepBench(network, NeuronSettings.of(cfg), cfg, core), np.random.default_rng(3)
    for density in (0.02, 0.5):
        mismatch, found = train(bench, rng, 6, density, loss_scale=2.0**22)
        assert mismatch is None, str(mismatch)
    assert found.skipped


def inverted(read: str, channels: int = 8) -> Network:
    """An inverted residual block: wider, depthwise, narrower, and what it reads added."""
    build = Builder((4, 5, 2))
    build.add("conv", channels=4, kernel=3)
    first = build.add("neuron", threshold=0.3)
    build.add("conv", channels=channels, kernel=1, padding=0)
    build.add("neuron", threshold=0.3)
    build.add("conv", channels=channels, kernel=3, groups=channels)
    build.add("neuron", threshold=0.3)
    build.add("conv", channels=4, kernel=1, padding=0, bias=False)
    last = build.add("neuron", threshold=0.3)
    both = build.add("add", first, last)
    build.add("conv", both, channels=4, kernel=3, groups=2 if read == "grouped" else 1)
    build.add("neuron", threshold=0.3)
    build.add("flatten")
    build.add("linear", outputs=3)
    build.add("neuron", threshold=0.3)
    return build.network()


def branches() -> Network:
    """Sums of a grouped convolution and of one of all channels, and spikes that both read."""
    build = Builder((4, 3, 4))
    build.add("conv", channels=8, kernel=3)
    fired = build.add("neuron", threshold=0.3)
    build.add("conv", fired, channels=8, kernel=3, groups=8, name="deep", bias=False)
    build.add("conv", fired, channels=8, kernel=1, padding=0, name="wide")
    build.add("conv", "input", channels=8, kernel=1, padding=0, groups=1, name="past")
    build.add("add", "deep", "wide", "past")
    build.add("neuron", threshold=0.3)
    build.add("flatten")
    build.add("linear", outputs=3)
    build.add("neuron", threshold=0.3)
    return build.network()


@pytest.mark.parametrize("changes, stalls", [({}, None), (FOUR | {"gradient_bits": 40}, 3)])
def test_sums_of_several_walks(changes, stalls):
    core, cfg = core_of("TINY", stalls, **WALKS | {"kernels": True, "jobs": 512, "program_words": 512} | changes)
    rng, fired = np.random.default_rng(5), 0
    for number, network in enumerate((inverted("all"), inverted("grouped"), branches())):
        bench = StepBench(network, NeuronSettings.of(cfg), cfg, core, number, minibatch=5)
        fired += check(bench, rng, str(number))
    assert fired > 0


@pytest.mark.parametrize("changes, networks", [
    (POOL | FOUR, ("8x6x2-4c3-mp2-dw3-4c1g2-3", "8x8x1-8c3-mp2-8c3g2-3")),
    (NORM | FOUR | {"gradient_bits": 48, "program_words": 2048, "jobs": 512}, ("4x4x4-dw3-8c1g1-dw3s2-3",)),
    (FOUR | {"planes": True, "others": "lif/hard/rectangle/still"}, ("4x4x4-dw3-4c1-3", "4x5x8-8c3g2-dw3-3")),
])  # fmt: skip
def test_beside_pools_norms_and_values(changes, networks):
    assert check_networks(networks, 3, **GROUPS | changes) > 0


def test_neurons_that_learn_their_leaks():
    changes = {"charge": "leaky", "others": "leaky/hard/atan", "gradient_bits": 48} | FOUR
    core, cfg = core_of("TINY", None, **GROUPS | changes)
    settings, rng = NeuronSettings.of(cfg), np.random.default_rng(2)
    network = with_leaks(Network.parse("4x4x8-dw3-8c3g2-3"), settings)
    assert check(StepBench(network, settings, cfg, core, 1, minibatch=5), rng, "leaky") > 0


def test_standardised_weights_of_groups_that_fill_words():
    changes = FOUR | {"standardise": True, "gradient_bits": 40}
    bench = bench_of("4x4x8-8c3g2-3", **GROUPS | changes)
    assert check(bench, np.random.default_rng(2), "standardised") > 0
    with pytest.raises(TridentError, match="'conv1' has groups that share words, whose weights"):
        nodes = (replace(n, standardise=True) if n.kind == "conv" else n for n in Network.parse("4x4x4-dw3-3").nodes)
        (plan,) = ChipPlan(Network((4, 4, 4), tuple(nodes)), bench.cfg).plans
        plan.update_jobs(constants_of(bench, 1))


@pytest.mark.parametrize("changes", [{}, {"lanes": 4}])
@pytest.mark.parametrize("text", ["9x8x8-dw3-8c1-4", "8x8x8-16c3s2g2-8c1g2-4", "9x9x4-4c1-dw5s3-4"])
def test_cycles(text, changes):
    """Those that the mapper forecasts for a sample, of each engine."""
    check_cycles(text, 0.02, **GROUPS | changes)


def test_words():
    check_words("4x4x8-dw3-8c1g2-3", **GROUPS)


def test_copies_of_a_core():
    check_chip("4x4x4-dw3-4c1g2-3", "2x1-3", 2, 1, **GROUPS)


@pytest.mark.parametrize("text, changes, error, words", [
    ("4x4x4-dw3-3", {"kernels": False}, TridentError, "^'conv1' with kernel 3, stride 1, padding 1, 4 groups needs "),
    ("4x4x6-6c3g2-3", {}, TridentError, "^'conv1' has groups of 3 input and 3 output channels: on a core of 2 lanes"),
    ("4x4x4-8c3g4-3", {"lanes": 8, "accumulators": 64}, TridentError, "groups of 1 input and 2 output channels"),
    ("4x4x140-140c1g2-3", {}, TridentError, "has groups of 70 channels: a core of 2 lanes has at most 62"),
    ("4x4x64-dw3-3", {"jobs": 64}, TooLarge, "need jobs of at least"),
])  # fmt: skip
def test_groups_that_a_core_has_not(text, changes, error, words):
    with pytest.raises(error, match=words):
        room = dict.fromkeys(("weight_rows", "spike_words", "error_words"), 8192)
        cfg = CoreConfig.preset("TINY", **GROUPS | room | changes)
        StepBench(Network.parse(text), NeuronSettings.of(cfg), cfg, None)


def test_partitions_that_have_none():
    network = Network.parse("4x4x4-dw3-4c1-3")
    with pytest.raises(TridentError, match="a network of which 'conv1' has groups of channels is on one core$"):
        Partition.parse("1-2,3", network, 2).check(network, 2)


def test_readers_whose_groups_differ():
    build = Builder((4, 4, 2))
    build.add("conv", channels=8, kernel=1)
    fired = build.add("neuron")
    build.add("conv", fired, channels=8, kernel=3, groups=8, name="deep")
    build.add("conv", fired, channels=8, kernel=3, groups=2, name="halves")
    build.add("add", "deep", "halves")
    build.add("neuron")
    build.add("flatten")
    build.add("linear", outputs=3)
    build.add("neuron")
    cfg = CoreConfig.preset("TINY", **WALKS | {"kernels": True, "jobs": 512})
    with pytest.raises(TridentError, match="^'neuron1' is read by 'deep' and 'halves', whose groups differ$"):
        StepBench(build.network(), NeuronSettings.of(cfg), cfg, None)
