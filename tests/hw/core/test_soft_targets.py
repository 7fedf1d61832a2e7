"""Cores whose loss is told what is wanted of every class of each sample."""

import numpy as np
import pytest

from tests.hw.core.benches import BF16, batch_of, constants_of, core_of
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

SOFT = {"loss": "softmax", "loss_tables": 5, "soft_targets": 7}


@pytest.mark.parametrize("changes, networks, stalls", [
    ({}, ("9-7-5", "6-2", "5-7"), 7),
    ({"loss": "membrane", "others": "lif/mean", "lanes": 4, "gradient_bits": 40}, ("9-7-5r", "6-7r"), None),
    ({"loss": "steps", "others": "lif/mean", "accumulators": 32} | BF16, ("9-7-5r", "6-2r"), 3),
    ({"voters": 3, "optimiser": "adam"}, ("9-7-15v3", "6-4v2"), None),
])  # fmt: skip
def test_networks(changes, networks, stalls):
    core, cfg = core_of("TINY", stalls, **SOFT | changes)
    rng, settings = np.random.default_rng(4), NeuronSettings.of(cfg)
    for number, text in enumerate(networks):
        bench = StepBench(Network.parse(text), settings, cfg, core, number)
        for samples in (5, 1, 4):
            spikes, labels = batch_of(bench, rng, samples, 0.5)
            wanted = rng.dirichlet(np.ones(bench.network.classes), samples)
            mismatch, _ = bench.step(spikes, labels, constants_of(bench, samples), 256, wanted)
            assert mismatch is None, f"{text}: {mismatch}"


def test_targets_are_those_of_each_sample():
    """With one-hot targets the errors are those of labels, but for what a share and a sum are rounded by."""
    core, cfg = core_of("TINY", 7, **SOFT)
    bench = StepBench(Network.parse("9-7-5"), NeuronSettings.of(cfg), cfg, core)
    plain = StepBench(Network.parse("9-7-5"), NeuronSettings.of(cfg), *core_of("TINY", None, loss="softmax")[::-1])
    spikes, labels = batch_of(bench, np.random.default_rng(2), 5, 0.5)
    soft = bench.golden.loss_constants(256, np.eye(5)[labels])
    (ours,) = bench.golden.train(spikes, np.arange(5), soft)
    (theirs,) = plain.golden.train(spikes, labels, plain.golden.loss_constants(256))
    assert all((a == b).all() for a, b in zip(ours.errors, theirs.errors, strict=True)) and ours.errors[-1].any()


def test_targets_of_a_table():
    with pytest.raises(TridentError, match="soft_targets of 7 are of a softmax: loss cannot be table"):
        CoreConfig.preset("TINY", **SOFT | {"loss": "table"})
