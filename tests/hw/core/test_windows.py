"""Cores whose neurons take the largest sums of windows."""


import numpy as np
import pytest

from tests.hw.core.benches import BF16, CHUNKS, NORM, POOL, SHORT, WALKS, check_networks, core_of, train
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TooLarge, TridentError
from trident.hw.isa.config import CoreConfig
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

WINDOW = {"window": 2, "sum_words": 1024, "winner_words": 1024, "surrogate": "atan"}
NETWORKS = ("4x4x1-2c3m2-3", "7x5x2-3c3m2-4", "8x9x1-2c3m2-4c3m2-3-4", "5x6x2-4c1m2-sew3-3", "9x4x3-3c5s2m2-2")
STILL = {"planes": True, "others": "lif/hard/atan/still"}


@pytest.mark.parametrize("changes, stalls", [
    (WALKS, None), (WALKS | CHUNKS | {"surrogate": "atan", "program_words": 256, "jobs": 256}, 7),
    (WALKS | STILL | {"gradient_bits": 40, "lanes": 4}, None), (WALKS | SHORT | {"backward_cols": 2}, 3),
    (WALKS | BF16, None), (NORM | {"sum_words": 4096, "lanes": 4, "gradient_bits": 48}, 5),
])  # fmt: skip
def test_networks(changes, stalls):
    """Windows that fill the image and that do not, one after another, before residual blocks and behind norms."""
    assert check_networks(NETWORKS, stalls, **WINDOW | changes) > 20


def test_windows_and_pools_of_spikes():
    """Both in one network, of different sizes."""
    core, cfg = core_of("TINY", None, **WALKS | WINDOW | POOL | {"pool": 3, "others": "lif/hard/atan/pooled"})
    bench = StepBench(Network.parse("12x12x1-2c3m2-3c3-mp3-4"), NeuronSettings.of(cfg), cfg, core)
    mismatch, found = train(bench, np.random.default_rng(1), 6, 0.5)
    assert mismatch is None and found.counts.sum() > 0


@pytest.mark.parametrize("changes, error, words", [
    ({"window": 1, "sum_words": 0, "winner_words": 0}, TridentError,
     "'neuron1' takes the largest sums of windows of 2x2, which needs windows of sums"),
    ({"winner_words": 8}, TooLarge, "the largest pixels of windows of one sample need 16 words, 8 more than winner_w"),
    ({"sum_words": 32}, TooLarge, "the sums of one sample need 80 words, 48 more than sum_words of 32"),
])  # fmt: skip
def test_windows_that_a_core_has_not(changes, error, words):
    with pytest.raises(error, match=words):
        cfg = CoreConfig.preset("TINY", **WINDOW | changes)
        StepBench(Network.parse("8x8x1-2c3m2-3"), NeuronSettings.of(cfg), cfg, None)


@pytest.mark.parametrize("text, words", [
    ("8x8x1-2c3m1-3", "layer '2c3m1' needs windows of 2 pixels or more"),
    ("8x8x1-2c3m9-3", "pool 'window1' has a window of 9 pixels, its input is an image of 8x8"),
    ("8x8x1-2c3m2-mp2-3", "pool 'pool2' joins spikes of 'neuron1', which takes the largest sums of windows already"),
])  # fmt: skip
def test_windows_that_no_network_has(text, words):
    with pytest.raises(TridentError, match=words):
        assert Network.parse(text).layers
