"""Runs with windows that overlap: on the RTL, and what is refused."""

import numpy as np
import pytest

from tests.host.train.test_trainer import Watch, session
from trident.host.compile.sizing import pool_of
from trident.host.train.spec import ChipChoice, RunSpec
from trident.hw.errors import Interrupted, TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.spaces import Space
from trident.snn.network.network import Network


@pytest.mark.parametrize("net", ["12x12x1-4c3s2-mp3s2p1-sew4-3", "12x12x1-4c3s2m3s2p1-sew4-3"])
def test_a_stem_of_a_residual_network_trains(net, tmp_path):
    """Real values, a batch norm behind every convolution: two minibatches without a word that differs."""
    rng, path, stopped = np.random.default_rng(0), tmp_path / "stripes.npz", []
    labels = rng.integers(0, 3, 30)
    images = 0.2 * rng.random((30, 12, 12)) + 0.8 * (np.arange(12) // 4 == labels[:, None])[:, None, :]
    np.savez(path, images=images, labels=labels, classes=3)
    train = {"batch": 4, "epochs": 1, "timesteps": 4}
    spec = RunSpec.make(str(path), net=net, norm="bn", preset="TINY", encoding="direct", train=train)
    assert spec.cfg.overlap and sorted((spec.cfg.join, spec.cfg.window)) == [1, 3]
    trainer = session(spec, tmp_path / "checkpoint.npz")
    with pytest.raises(Interrupted):
        trainer.run(Watch(2, lambda: stopped.append(True)), lambda: bool(stopped))
    assert trainer.lockstep.compare.state((Space.WEIGHTS, Space.MOMENTUM)) == (0, None)


@pytest.mark.parametrize("options, words", [
    ({"preset": "COMPACT"}, "join of 3 needs windows of spikes that overlap, which a core with join of 1 or a sha"),
    ({"chip": ChipChoice(cores=2, partition="1,2")}, "of which 'neuron1' has its spikes joined by windows is on one"),
    ({"built": (CoreConfig(), MeshConfig())}, "the chip has been built with join of 1, the network needs 3"),
    ({"built": (CoreConfig(join=3, winner_words=64), MeshConfig())}, "built without windows that overlap, which the n"),
])  # fmt: skip
def test_refusals(options, words):
    with pytest.raises(TridentError) as refused:
        RunSpec.make(**{"net": "8x8x1-3c3-mp3s2p1-10"} | options)
    assert words in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("changes, words", [
    ({"join": 3}, "winner_words of 0: words of winners are needed for a window or join of pixels"),
    ({"winner_words": 3}, "winner_words of 3: words of winners are for a window or join of pixels"),
    ({"overlap": True}, "overlap is of windows: it needs a window or join of 2 pixels or more"),
    ({"overlap": 1, "join": 3, "winner_words": 4}, "overlap must be true or false, not 1"),
    ({"join": 9, "winner_words": 4}, "join must be a whole number from 1 to 8, not 9"),
])  # fmt: skip
def test_cores_that_there_are_not(changes, words):
    with pytest.raises(TridentError, match=f"^{words}$"):
        CoreConfig(**changes)


def test_averages_are_of_one_size_of_windows():
    """Maxima may be of several."""
    assert pool_of(Network.parse("16x16x1-4c3-mp2-4c3-mp4-10")) == 2
    with pytest.raises(TridentError, match="^a core takes averages and sums of windows of one size, not of 2 and 4 p"):
        pool_of(Network.parse("16x16x1-4c3-ap2-4c3-ap4-10"))
