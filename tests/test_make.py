"""Variables of make: every one becomes an option or is refused, and no value reaches a shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trident.cli import COMMANDS
from trident.hw.errors import TridentError
from trident.make import TARGETS, arguments, given

ROOT = Path(__file__).resolve().parents[1]


def make(*words: str) -> subprocess.CompletedProcess:
    """Run make in a copy of the environment, with its virtual environment taken as ready."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    command = ["make", "--no-print-directory", "--old-file=.venv/ready", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


VALUES = (
    "64-'; touch FILE; '", '64-"; touch FILE; "', "`touch FILE`", "a\\ b$HOME",
    "it's", "a b", "back\\", "a;b|c&d", "(x)", "-10", "--help", "ü", "#", "%",
)  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_taken_as_it_is(value):
    escaped = value.replace("\\", "\\\\").replace(" ", "\\ ")
    flags = f"w --no-print-directory -- NET={escaped} EPOCHS=3"
    environment = {"MAKEFLAGS": flags, "NET": value, "EPOCHS": "3", "DATA": "x"}
    assert given(environment) == {"NET": value, "EPOCHS": "3"}


@pytest.mark.skipif(not (ROOT / ".venv/bin/python").exists(), reason="there is no .venv here")
@pytest.mark.parametrize("value", VALUES[:4])
def test_a_value_does_not_reach_the_shell(value, tmp_path):
    file = tmp_path / "touched"
    value = value.replace("FILE", str(file))
    done = make("train", f"NET={value.replace('$', '$$')}")
    assert done.returncode == 2
    assert repr(value)[1:-1] in done.stderr
    assert not file.exists()


def test_without_variables():
    assert given({}) == given({"MAKEFLAGS": "k"}) == given({"MAKEFLAGS": " -- ", "NET": "9-9"}) == {}


@pytest.mark.parametrize("target, values, expected", [
    ("train", {"EPOCHS": "3", "T": "4", "LOSS_SCALE": "64"}, ["--epochs=3", "--timesteps=4", "--loss-scale=64"]),
    ("train", {"RESUME": "false", "NET": "", "PYTHON": "python3.12"}, []),
    ("train", {"RESUME": "1", "SET": "words=2 jobs=9"}, ["--resume", "--set=words=2", "--set=jobs=9"]),
    ("federated", {"FLOWER": "yes", "TLS": "0"}, ["--flower"]),
    ("estimate", {"FLAT": "1"}, ["--flat"]),
    ("estimate", {"FLAT": "0"}, ["--hierarchical"]),
    ("sim", {"UNIT": "forward", "JOBS": "1"}, ["--unit=forward", "--jobs=1"]),
    ("lint", {"VENV": "venv"}, []),
])  # fmt: skip
def test_options(target, values, expected):
    assert arguments(target, values) == expected


@pytest.mark.parametrize("target, values, sentence", [
    ("train", {"EPOCHZ": "3"}, "did you mean EPOCHS?"),
    ("train", {"epochs": "3"}, "did you mean EPOCHS?"),
    ("train", {"LEARNING_RATE": "1"}, "make train has no variable LEARNING_RATE"),
    ("map", {"EPOCHS": "3"}, "make map has no variable EPOCHS"),
    ("train", {"RESUME": "maybe"}, "RESUME is a switch, 1 or 0, not 'maybe'"),
    ("lint", {"EPOCHS": "3"}, "make lint takes no variables"),
    ("boards", {"BOARD": "x"}, "make boards takes no variables"),
])  # fmt: skip
def test_refused(target, values, sentence):
    with pytest.raises(TridentError, match=sentence.replace("?", r"\?")):
        arguments(target, values)


@pytest.mark.skipif(not (ROOT / ".venv/bin/python").exists(), reason="there is no .venv here")
@pytest.mark.parametrize("words, sentence", [
    (("sim", "FULL=maybe"), "error: Invalid value for FULL: 'maybe' is not one of"),
    (("sim", "UNIT=x;y"), "there is no unit 'x;y'"),
    (("train", "EPOCHS=many"), "error: Invalid value for EPOCHS"),
    (("bitstream", "BOARD=nope"), "unknown board 'nope'"),
    (("estimate", "BOARD=ulx3s-85f", "SETUP=nope"), "ulx3s-85f has no set-up 'nope'"),
    (("docs", "OUT=x"), "make docs takes no variables"),
])  # fmt: skip
def test_sentences(words, sentence):
    done = make(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and sentence in done.stderr


def test_every_target_is_known():
    text = (ROOT / "Makefile").read_text()
    targets = {word for line in text.splitlines() if line.startswith(".PHONY:") for word in line.split()[1:]} - {"help"}
    assert targets == set(TARGETS) | set(COMMANDS) - {"presets", "placer"}


def test_failed_tests_end_with_a_sentence(tmp_path):
    (tmp_path / "test_fails.py").write_text("def test_fails():\n    assert False\n")
    flags = {"MAKEFLAGS": f" -- TEST={tmp_path} JOBS=1", "TEST": str(tmp_path), "JOBS": "1"}
    command = [sys.executable, "-m", "trident.make", "sim"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | flags, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 failed" in done.stdout and done.stderr == "error: some test failed\n"
