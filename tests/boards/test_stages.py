"""Stages: done once for the same inputs, tool and options; what fails or is broken off leaves no result."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import trident
from trident.boards.flow.stages import StageError, Stages
from trident.boards.flow.tools import Tool
from trident.hw.errors import TridentError
from trident.hw.files import only_one

PYTHON = Tool("python", (sys.executable, "-c"), "3", True)
COPY = "import sys; open('out', 'w').write(open('in').read() + sys.argv[1])"

ROOT = Path(trident.__file__).parents[1]


def run(folder: Path, tool=PYTHON, word="x", code=COPY):
    said = []
    stages = Stages(folder, lambda name, tool: said.append(name), lambda stage: None)
    stage = stages.run("copy", tool, (code, word), [folder / "in"], ("out",))
    assert stage.cached == (not said)
    return stage


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").write_text("text")
    return tmp_path


def test_second_run_does_nothing(folder):
    first, second = run(folder), run(folder)
    assert (first.cached, second.cached) == (False, True)
    assert second.digest == first.digest and second.seconds == first.seconds
    assert first.memory_mib > 1


def test_whatever_goes_in_counts(folder):
    digests = [run(folder).digest, run(folder, word="y").digest]
    digests.append(run(folder, tool=Tool("python", PYTHON.command, "4", True)).digest)
    (folder / "in").write_text("other")
    digests.append(run(folder).digest)
    assert len(set(digests)) == 4
    assert (folder / "out").read_text() == "otherx"


@pytest.mark.parametrize("harm", [lambda out: out.write_text("half"), lambda out: out.unlink()])
def test_changed_outputs_are_made_again(folder, harm):
    run(folder)
    harm(folder / "out")
    assert not run(folder).cached
    assert (folder / "out").read_text() == "textx"


def test_failure_names_log_and_error(folder):
    run(folder)
    with pytest.raises(StageError) as failed:
        run(folder, code="print('ERROR: no room'); raise SystemExit(3)")
    assert str(failed.value).splitlines() == [f"python ended with 3, see {folder / 'copy.log'}:", "ERROR: no room"]
    with pytest.raises(StageError, match="python wrote no out"):
        run(folder, code="pass")
    assert not (folder / "copy.json").exists()


def test_interrupted_stage_leaves_no_result(folder):
    """As by Ctrl-C in a terminal; the tool does not live on."""
    code = "import os, time; open('out', 'w').write('half'); open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    program = (
        "import signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell may have had it ignored
        "from tests.boards.test_stages import run\n"
        "run(Path(sys.argv[2]), code=sys.argv[3])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(ROOT), str(folder), code], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30)
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)
    assert not (folder / "copy.json").exists()
    assert not run(folder).cached


def test_two_builds_do_not_meet(folder):
    with only_one(folder), pytest.raises(TridentError, match="another run works in"), only_one(folder):
        pass
    with only_one(folder):
        pass
