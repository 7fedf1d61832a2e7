"""Golden alone: the weights of the chip, a run that goes on where it stopped, and what is refused."""

import json

import numpy as np
import pytest

from trident.cli import main
from trident.host.train.checkpoint import Checkpoint
from trident.host.train.golden_run import KIND, GoldenRun
from trident.host.train.spec import RunSpec
from trident.hw.errors import Interrupted, TridentError
from trident.hw.isa.spaces import Space

TRAIN = {"epochs": 2, "batch": 32}


@pytest.fixture(scope="module")
def spec():
    return RunSpec.make("digits", net="64-12-10", preset="TINY", train=TRAIN)


@pytest.fixture(scope="module")
def unbroken(spec, tmp_path_factory):
    """A whole run, and what it told."""
    told = []
    run = GoldenRun(spec, tmp_path_factory.mktemp("golden") / "golden.npz")
    run.run(told.append)
    return run, told


def _weights(run: GoldenRun) -> np.ndarray:
    return np.concatenate([bits.ravel() for bits in run.golden.bits(Space.WEIGHTS).values()])


def test_learns(unbroken):
    _, told = unbroken
    assert len(told) == 2 and told[1]["loss"] < told[0]["loss"] and told[1]["test_accuracy"] > 0.5


def test_goes_on_where_it_stopped(spec, unbroken, tmp_path):
    path, asked = tmp_path / "golden.npz", iter([False] * 60 + [True])
    with pytest.raises(Interrupted, match="stopped in epoch 2 after minibatch 16"):
        GoldenRun(spec, path).run(lambda _: None, lambda: next(asked))
    resumed = GoldenRun(spec, path, resume=True)
    resumed.run(lambda _: None)
    assert (_weights(resumed) == _weights(unbroken[0])).all()
    for ours, theirs in zip(resumed.progress.history, unbroken[0].progress.history, strict=True):
        assert all(ours[name] == theirs[name] for name in ("loss", "train_accuracy", "test_accuracy"))


def test_an_overflow_halves_the_loss_scale(tmp_path):
    spec = RunSpec.make("digits", net="64-12-10", preset="TINY", train=TRAIN | {"epochs": 1, "loss_scale": 2**15})
    run = GoldenRun(spec, tmp_path / "golden.npz")
    run.run(lambda _: None)
    assert run.scaler.skipped > 0 and run.scaler.scale < 2**15


@pytest.mark.parametrize("name, value", [
    ("minibatch", 10**9), ("epoch", -1), ("history", [{}]), ("tally", {"samples": "four"}),
    ("scaler", {"scale": 0.0, "carry": 1.0, "skipped": 0}),
])  # fmt: skip
def test_a_damaged_checkpoint_is_refused(spec, unbroken, tmp_path, name, value):
    state = Checkpoint.load(unbroken[0].path, KIND)
    state.progress = json.loads(json.dumps(state.progress)) | {name: value}
    state.save(tmp_path / "golden.npz")
    with pytest.raises(TridentError, match=r"golden\.npz is damaged"):
        GoldenRun(spec, tmp_path / "golden.npz", resume=True)


def test_the_command(tmp_path, capsys, monkeypatch):
    arguments = ["train", "--target", "golden", "--net", "64-8-10", "--preset", "TINY", "--epochs", "1"]
    monkeypatch.setattr("sys.argv", ["trident", *arguments, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr().out
    assert not ended.value.code and "Accuracy: train" in out and (tmp_path / "golden.npz").exists()
