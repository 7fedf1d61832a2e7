"""Where output goes: pipes, terminals with few signs, full devices; and what ends a command from outside."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import hears_interrupts
from trident.hw.isa.config import CoreConfig


def run(*arguments: str, **changes) -> subprocess.CompletedProcess:
    """A command in a process of its own; ``changes``: of its environment, or its stdout."""
    stdout = changes.pop("stdout", subprocess.PIPE)
    return subprocess.run(
        [sys.executable, "-m", "trident", *arguments], env=os.environ | changes, stdout=stdout,
        stderr=subprocess.PIPE, text=True, encoding="latin-1", check=False,
    )  # fmt: skip


def test_names_are_whole_in_a_pipe():
    done = run("presets")
    assert done.returncode == 0
    words = done.stdout.split()
    assert all(name in words for name in CoreConfig.__dataclass_fields__)


@pytest.mark.parametrize("command", ["presets", "boards"])
def test_an_encoding_with_few_signs(command):
    for encoding in ("latin-1", "ascii"):
        done = run(command, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["presets", "boards"])
def test_a_device_that_takes_no_more(command):
    with open("/dev/full", "w") as full:
        done = run(command, stdout=full)
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


def test_brackets_in_a_path_are_only_brackets():
    done = run("train", "--data", "[red]x[/bold].npz")
    assert done.returncode == 2
    assert done.stderr.startswith("error: [red]x[/bold].npz does not exist")


def hears_terminations(process: int) -> bool:
    """Whether a process has a handler for SIGTERM."""
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    return bool(int(caught[1], 16) >> signal.SIGTERM - 1 & 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0.1, 1.5])
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="there is no /proc here")
def test_a_signal_ends_it_with_a_sentence(tmp_path, number, seconds):
    command = [sys.executable, "-m", "trident", "map", "--mesh", "8x8", "--out", str(tmp_path / "map")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hears_interrupts
    )
    while not hears_terminations(process.pid):  # how long Python takes to start depends on the load
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.strip().startswith("interrupted: ") and len(said.strip().splitlines()) == 1
    assert not (tmp_path / "map").exists()


LOST = """
import signal, weakref
from trident.cli import guarded

class Node:
    pass

def run():
    node = Node()
    watched = weakref.ref(node, lambda _: signal.raise_signal(signal.{name}))
    del node
    signal.sigtimedwait([], 5)

raise SystemExit(guarded(run))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_within_a_callback_is_not_lost(name):
    done = subprocess.run(
        [sys.executable, "-c", LOST.format(name=name)], capture_output=True, text=True, preexec_fn=hears_interrupts
    )
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted: ") and len(done.stderr.splitlines()) == 1


LATE = """
import atexit, sys, time
from trident.cli import main

atexit.register(lambda: (print("done", flush=True), time.sleep(20)))
sys.argv[1:] = ["train", "--net", "no layers"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGALRM])
def test_a_signal_at_the_very_end_changes_no_status(number):
    command = [sys.executable, "-c", LATE]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=hears_interrupts
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "done\n"
        process.send_signal(number)
        assert process.wait(timeout=10) == 2


WITHIN_EXEC = """
import atexit, sys
from trident import cli

atexit.register(lambda: print("done"))
cli.commands.main = lambda *_, **__: exec("import signal; signal.raise_signal(signal.{name})")
sys.argv[1:] = ["presets"]
cli.main()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_within_the_code_of_a_text_is_an_interrupt(name):
    done = subprocess.run(
        [sys.executable, "-c", WITHIN_EXEC.format(name=name)], capture_output=True, text=True,
        preexec_fn=hears_interrupts,
    )  # fmt: skip
    assert done.returncode == 130 and done.stdout == "done\n"
    assert done.stderr.startswith("interrupted: ")
