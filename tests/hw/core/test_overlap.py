"""Cores with windows that overlap or do not divide the image, of spikes and of sums."""


import numpy as np
import pytest

from tests.hw.core.benches import (
    BF16,
    CHUNKS,
    NORM,
    POOL,
    SHORT,
    WALKS,
    check,
    check_chip,
    check_cycles,
    check_networks,
    check_words,
    core_of,
    normed,
    train,
)
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.config import CoreConfig
from trident.snn.network.leaks import with_leaks
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

WINDOWS = {"join": 5, "window": 3, "overlap": True, "winner_words": 2048, "sum_words": 2048, "surrogate": "atan"}
STILL = {"planes": True, "others": "lif/hard/atan/still"}
NETWORKS = (
    "7x6x1-3c3-mp3s2p1-3", "8x9x2-5c3s2-mp3s2p1-4c3-3", "6x6x1-4c3-mp3s1p1-sew4-3", "9x7x1-2c3-mp2p1-3c3-mp3s2p1-3",
    "5x7x2-3c3-mp2-4", "10x7x1-3c3-mp2s3-3", "7x5x2-3c3m3s2p1-4", "6x6x1-4c1m3s1p1-sew3-3",
    "9x8x1-3c3m3s2p1-4c3-mp3s2p1-3",
)  # fmt: skip


@pytest.mark.parametrize("changes, stalls", [
    ({}, None), (CHUNKS | {"program_words": 512, "jobs": 256}, 7), ({"reset": "soft"}, 3),
    (STILL | {"gradient_bits": 40, "lanes": 4}, None), (SHORT | {"backward_cols": 2}, 3), (BF16, None),
    (NORM | {"lanes": 4, "gradient_bits": 48, "winner_words": 4096, "sum_words": 8192}, 5),
])  # fmt: skip
def test_networks(changes, stalls):
    """Of spikes before linear layers, convolutions and residual blocks, one behind another, and of sums."""
    assert check_networks(NETWORKS, stalls, **WALKS | WINDOWS | changes) > 20


def test_windows_beside_pools_and_leaks():
    """In one network with windows that divide the image, of neurons that learn their leaks."""
    changes = POOL | {"charge": "plif", "others": "plif/hard/atan/pooled", "gradient_bits": 48}
    core, cfg = core_of("TINY", None, **WALKS | WINDOWS | changes)
    settings, rng = NeuronSettings.of(cfg), np.random.default_rng(2)
    for text in ("9x9x1-3c3-mp3s2p1-3", "8x8x1-3c3-mp2-5c3-mp3s2p1-3"):
        network = with_leaks(Network.parse(text), settings)
        assert check(StepBench(network, settings, cfg, core, 1, minibatch=5), rng, text) > 0


@pytest.mark.parametrize("text", ["8x8x1-3c3-mp3s2p1-4", "8x8x1-3c3m3s2p1-4"])
def test_errors_that_are_too_large_are_faults(text):
    core, cfg = core_of("TINY", None, **WALKS | WINDOWS)
    bench, rng = StepBench(Network.parse(text), NeuronSettings.of(cfg), cfg, core), np.random.default_rng(3)
    mismatch, found = train(bench, rng, 6, 0.5, loss_scale=2.0**21)
    assert mismatch is None and found.skipped


@pytest.mark.parametrize("text", [
    "8x9x1-3c3-mp3s2p1-4", "8x8x1-9c3m3s2p1-4", "9x7x1-3c3-mp2s3-4", "8x8x1-2c3-mp5s1p2-4", "30-24m2-4",
])  # fmt: skip
def test_cycles(text):
    """Those that the mapper forecasts for a sample, of each engine."""
    check_cycles(text, 0.02, **WALKS | WINDOWS)


@pytest.mark.parametrize("text", ["8x9x2-5c3-mp3s2p1-3c3-3", "7x5x1-3c3-mp2-4c3s2-mp3s1p1-3", "30-24m2-4"])
def test_words(text):
    check_words(text, **WALKS | WINDOWS)


def test_copies_of_a_core():
    check_chip("7x6x1-3c3-mp3s2p1-3", "2x1-2", 2, 1, **WALKS | WINDOWS)


@pytest.mark.parametrize("changes, error, words", [
    ({"join": 1}, TridentError, "'neuron1' has its spikes joined by windows of 3x3 every 2, padding 1, which needs "),
    ({"join": 2}, TridentError, "the core has join of 2, 'neuron1' needs 3"),
    ({"overlap": False}, TridentError, "the core has overlap of false, 'neuron1' has windows of 3x3 every 2, paddin"),
    ({"winner_words": 8}, TooLarge, "the largest pixels of windows of one sample need 48 words, 40 more than winne"),
])  # fmt: skip
def test_windows_that_a_core_has_not(changes, error, words):
    with pytest.raises(error, match=words):
        cfg = CoreConfig.preset("TINY", **WALKS | WINDOWS | changes)
        StepBench(Network.parse("8x8x1-2c3-mp3s2p1-3"), NeuronSettings.of(cfg), cfg, None)


@pytest.mark.parametrize("changes, stalls", [({}, None), (CHUNKS | {"program_words": 512, "jobs": 256}, 7),
                                             (NORM | {"lanes": 4, "gradient_bits": 48}, 5)])  # fmt: skip
def test_outputs_of_linear_layers(changes, stalls):
    """Neurons that take the largest of consecutive outputs."""
    core, cfg = core_of("TINY", stalls, **WALKS | WINDOWS | changes)
    rng, fired = np.random.default_rng(4), 0
    for number, text in enumerate(("12-14m2-5", "4x4x1-2c3-mp3s1p1-18m3-10m2-4", "9-8m2-6-3")):
        network = normed(Network.parse(text), number) if cfg.batch_norm else Network.parse(text)
        fired += check(StepBench(network, NeuronSettings.of(cfg), cfg, core, number, minibatch=5), rng, text)
    assert fired > 20
