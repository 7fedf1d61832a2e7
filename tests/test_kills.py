"""Runs that are killed at any moment lose nothing but time, and leave nothing running."""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import hears_interrupts

KILLS = int(os.environ.get("KILLS", 4))  # of each kind of run
LONGEST = 300  # seconds of a run that is left alone
GONE = 40  # seconds in which all that a run has started must have ended
COMMANDS = {
    "train": ("train", "--preset", "TINY", "--net", "64-9-10", "--epochs", "3", "--batch", "100"),
    "federated": (
        "federated", "--preset", "TINY", "--net", "64-9-10", "--mesh", "1x1", "--workers", "2", "--rounds", "2",
        "--local-epochs", "1", "--batch", "50",
    ),
}  # fmt: skip


class Run:
    """A command in a process group of its own, whose environment marks all that it starts."""

    def __init__(self, arguments: list[str], cache: Path):
        self.mark = uuid.uuid4().hex
        environment = os.environ | {"TRIDENT_CACHE": str(cache), "TRIDENT_MARK": self.mark}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trident", *arguments], env=environment, stdin=subprocess.DEVNULL,
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


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what runs is looked up in /proc")
@pytest.mark.parametrize("kind", COMMANDS)
def test_killed_runs_lose_nothing(kind, tmp_path):
    chance = random.Random(kind)
    broken, whole, cache = tmp_path / "broken", tmp_path / "whole", tmp_path / "cache"

    def start(folder: Path) -> Run:
        resume = ["--resume"] if (folder / "checkpoint.npz").exists() else []
        return Run([*COMMANDS[kind], "--out", str(folder), *resume], cache)

    kills, signals = 0, [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
    while kills < KILLS:
        run = start(broken)
        # Early ones meet the build, late ones training and tests
        code, said = run.end(chance.choice([chance.uniform(0.2, 5), chance.uniform(5, 40)]))
        if code is None:
            kills += 1
            number = chance.choice(signals)
            run.process.send_signal(number)
            code, said = run.end(GONE)
            assert code is not None, f"{number.name} does not end it"
            assert code in (130, -number), (code, said)
        else:
            assert code == 0, said
            for name in ("checkpoint.npz", "report.html", "run.json"):
                (broken / name).unlink()
        deadline = time.monotonic() + GONE
        while left := run.left():
            assert time.monotonic() < deadline, f"{left} run on"
            time.sleep(0.2)
        assert "Traceback" not in said
    for folder in (broken, whole):
        code, said = start(folder).end(LONGEST)
        assert code == 0, said
    ours, theirs = arrays(broken), arrays(whole)
    assert list(ours) == list(theirs)
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    assert not list(cache.rglob("*.work")) and not list(broken.glob("*.part"))
