"""The examples run, and print what they promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = {
    "train_digits": (("1", "64-16-10"), ("of the test digits", "equal the golden model's", "report: build")),
    "estimate_mesh": (("2x2",), ("on 4 of 4 cores", "core 0 of each replica", "samples per second at 40 MHz")),
    "generate_verilog": (("1",), ("trident_core.v: ", "ports.md: ")),
}


def test_every_example_is_here():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in EXAMPLES])
def test_example(name, tmp_path):
    path, (arguments, words) = ROOT / "examples" / f"{name}.py", EXAMPLES[name]
    assert len(path.read_text().splitlines()) < 40
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    done = subprocess.run(
        [sys.executable, str(path), *arguments], cwd=tmp_path, env=paths, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(word in done.stdout for word in words), done.stdout
