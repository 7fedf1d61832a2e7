"""Cores whose loss is the cross-entropy of every timestep."""

import numpy as np
import pytest

from tests.hw.core.benches import BF16, CHUNKS, SHORT, batch_of, check, core_of
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.config import CoreConfig
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

STEPS = {"loss": "steps", "others": "lif/mean", "accumulators": 32}
NETWORKS = ("9-7-5r", "4x4x1-3c3-6r", "6-2r")


@pytest.mark.parametrize("changes, stalls", [
    ({}, 7), (CHUNKS | {"accumulators": 32}, None), (BF16 | {"lanes": 4, "timesteps": 3}, None),
    (SHORT | {"loss_tables": 6, "surrogate": "atan", "optimiser": "adam"}, 3),
])  # fmt: skip
def test_networks(changes, stalls):
    core, cfg = core_of("TINY", stalls, **changes | STEPS)
    rng, settings = np.random.default_rng(4), NeuronSettings.of(cfg)
    for number, text in enumerate(NETWORKS):
        bench = StepBench(Network.parse(text), settings, cfg, core, number)
        check(bench, rng, text)


def test_errors_differ_from_step_to_step():
    """What the loss is for: a potential that is right early and wrong late has errors of both signs."""
    core, cfg = core_of("TINY", 7, **STEPS)
    bench = StepBench(Network.parse("9-7-5r"), NeuronSettings.of(cfg), cfg, core)
    spikes, labels = batch_of(bench, np.random.default_rng(1), 4, 0.5)
    (trace,) = bench.golden.train(spikes, labels, bench.golden.loss_constants(256))
    errors = trace.errors[-1][:, 0, 0]
    assert (np.abs(errors).max(axis=1) > np.abs(errors).min(axis=1)).any()


@pytest.mark.parametrize("changes, text, error, words", [
    ({"accumulators": 8}, "6-9r", TooLarge, "a loss of every timestep has 9 classes in 5 groups of 2 lanes under"),
    ({"voters": 2}, "6-2r", TridentError, "voters of 2 count spikes, so the loss cannot be steps"),
])  # fmt: skip
def test_what_does_not_fit(changes, text, error, words):
    with pytest.raises(error, match=words):
        cfg = CoreConfig.preset("TINY", **STEPS | changes)
        StepBench(Network.parse(text), NeuronSettings.of(cfg), cfg, None)
