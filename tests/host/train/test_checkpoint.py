"""The checkpoint: read back as it was, whole or not at all, and only for the run that it is of."""

import os

import numpy as np
import pytest

from trident.host.train.checkpoint import Checkpoint
from trident.hw.errors import TridentError

STATE = Checkpoint({"net": "4-2", "batch": 4}, {"epoch": 1, "loss": 0.1 + 0.2}, {"weights.0": np.arange(3, dtype="u2")})


def test_it_is_read_back_as_it_was(tmp_path):
    STATE.save(tmp_path / "c.npz")
    found = Checkpoint.load(tmp_path / "c.npz")
    assert (found.settings, found.progress) == (STATE.settings, STATE.progress)
    assert list(found.arrays) == ["weights.0"] and found.arrays["weights.0"].dtype == np.uint16
    assert (found.arrays["weights.0"] == np.arange(3)).all()


def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "c.npz"
    STATE.save(path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TridentError, match="No space left"):
        STATE.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"x" * 100])
def test_a_damaged_one_is_refused(tmp_path, damage):
    path = tmp_path / "c.npz"
    STATE.save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TridentError, match="damaged"):
        Checkpoint.load(path)


def test_a_missing_one_and_another_file_are_refused(tmp_path):
    with pytest.raises(TridentError, match="no checkpoint"):
        Checkpoint.load(tmp_path / "c.npz")
    np.savez(tmp_path / "c.npz", images=np.eye(2))
    with pytest.raises(TridentError, match="not a checkpoint"):
        Checkpoint.load(tmp_path / "c.npz")


@pytest.mark.parametrize("change", [{"batch": 8}, {"new": 1}, {"net": None}])
def test_other_settings_are_refused_by_name(tmp_path, change):
    STATE.check(dict(STATE.settings), tmp_path)
    with pytest.raises(TridentError, match=next(iter(change))):
        STATE.check(STATE.settings | change, tmp_path)
