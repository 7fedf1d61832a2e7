"""Checkpoints that others made: what a run of this kind cannot have written is refused before anything is built."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from trident.host.train.checkpoint import FEDERATED, Checkpoint, named
from trident.host.train.resume import resumed
from trident.host.train.scaler import LossScaler
from trident.host.train.spec import RunSpec
from trident.host.train.tally import Tally
from trident.host.train.trainer import HISTORY, SERIES, Progress
from trident.hw.errors import TridentError


@pytest.fixture(scope="module")
def spec():
    return RunSpec.make("digits", net="64-5-10", preset="TINY", train={"epochs": 3})


def good(spec) -> Checkpoint:
    """A checkpoint after one epoch and two minibatches."""
    tally = Tally()
    tally.add(np.eye(10, dtype=int)[:4], np.arange(4), 4)
    epochs = {name: [dict.fromkeys(HISTORY, 0.5)] for name in SERIES}
    progress = Progress(
        1, 2, asdict(LossScaler(256.0)), {name: asdict(tally) for name in SERIES}, epochs, asdict(tally), [],
        [0.1, 0.2], [0.3, 0.4], 2, 0, [{"cycles": 9}], 9, 0.5,
    )  # fmt: skip
    arrays = {}
    for name in ("weights", "momentum"):
        tensors = spec.network.initial_weights(0)
        arrays |= named(name, {key: np.zeros(value.shape, np.uint16) for key, value in tensors.items()})
        arrays |= named(f"float32/{name}", {key: value.astype(np.float32) for key, value in tensors.items()})
    return Checkpoint(spec.settings(), json.loads(json.dumps(asdict(progress))), arrays)


def test_a_good_one_is_taken(spec, tmp_path):
    state = good(spec)
    state.save(tmp_path / "c.npz")
    assert resumed(spec, tmp_path / "c.npz").progress == state.progress


CHANGES = {
    "minibatch": 10**9, "epoch": -1, "cycles": "many", "scaler": {"scale": 1e9, "carry": 1.0, "skipped": 0},
    "tallies": {}, "history": {"RTL": []}, "firing_rate": [0.5] * 3, "counters": [{"cycles": 1}] * 2,
    "tested": {"samples": "four"}, "findings": 7, "seconds": None, "activity_batches": 1.5, "unknown": 1,
    "trained": {"cycles": -1},
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_progress_that_cannot_be_is_refused(spec, tmp_path, name):
    state = good(spec)
    state.progress[name] = CHANGES[name]
    state.save(tmp_path / "c.npz")
    with pytest.raises(TridentError, match=r"c\.npz is damaged") as refused:
        resumed(spec, tmp_path / "c.npz")
    assert name in str(refused.value) or name in ("unknown", "tested")
    assert "\n" not in str(refused.value)


def test_a_power_is_of_adam(spec, tmp_path):
    state = good(spec)
    state.progress["scaler"]["power"] = 15
    state.save(tmp_path / "c.npz")
    with pytest.raises(TridentError, match="damaged: its scaler is not that of such a run"):
        resumed(spec, tmp_path / "c.npz")


@pytest.mark.parametrize("change, words", [
    (lambda a: a.pop("weights/linear1.bias"), "linear1.bias is missing"),
    (lambda a: a.update({"weights/more": np.zeros(3)}), "more is float64"),
    (lambda a: a.update({"momentum/linear2.bias": np.zeros(10, np.float32)}), "linear2.bias is float32 of shape"),
    (lambda a: a.update({"momentum/linear2.bias": np.zeros(9, np.uint16)}), r"shape \(9,\), and should be uint16"),
    (lambda a: a.update({"float32/weights/linear1.bias": np.zeros(5, np.uint16)}), "should be float32"),
])  # fmt: skip
def test_arrays_that_are_not_the_networks_are_refused(spec, tmp_path, change, words):
    state = good(spec)
    change(state.arrays)
    state.save(tmp_path / "c.npz")
    with pytest.raises(TridentError, match=words):
        resumed(spec, tmp_path / "c.npz")


@pytest.mark.parametrize("words", ["[]", "7", '{"version": 4}', "{", "[" * 2000, '"text"', '{"version": 4, "kind": '
                                   '"training", "settings": [], "progress": {}}'])  # fmt: skip
def test_words_that_are_none(spec, tmp_path, words):
    np.savez(tmp_path / "c.npz", words=np.array(words))
    with pytest.raises(TridentError, match="is not a checkpoint of this program, or it is damaged"):
        resumed(spec, tmp_path / "c.npz")


def test_of_another_kind(spec, tmp_path):
    good(spec).save(tmp_path / "c.npz")
    with pytest.raises(TridentError, match="is the checkpoint of a training run, not of a federated one"):
        Checkpoint.load(tmp_path / "c.npz", FEDERATED)
