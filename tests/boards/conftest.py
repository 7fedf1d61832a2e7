"""The set-up ``small``, synthesised once for all tests of a run."""

import fcntl
from pathlib import Path
from shutil import copytree

import pytest

from trident.boards.devices import design_of
from trident.boards.flow.flow import Flow


@pytest.fixture
def small_folder(tmp_path: Path, tmp_path_factory, worker_id: str) -> Path:
    """A build folder of one's own in which ``small`` of the ULX3S 85F is synthesised; the first that asks does it."""
    base = tmp_path_factory.getbasetemp()
    root = base if worker_id == "master" else base.parent
    with (root / "small.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Flow(design_of("ulx3s-85f", "small"), folder=root / "small").synthesised()
    return copytree(root / "small", tmp_path / "small")
