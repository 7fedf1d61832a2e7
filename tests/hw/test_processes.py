"""Tools end with the process that runs them, however it ends."""

import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import hears_interrupts
from trident.hw.processes import run_tool


def test_result():
    done = run_tool([sys.executable, "-c", "import sys; print(sys.stdin.read().upper()); sys.exit(3)"], text="hello")
    assert (done.returncode, done.stdout) == (3, "HELLO\n")
    with pytest.raises(FileNotFoundError):
        run_tool(["no-such-tool"])


def _gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_tool_ends_with_its_parent(tmp_path, number):
    file = tmp_path / "pid"
    inner = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    code = f"import sys; from trident.hw.processes import run_tool; run_tool([sys.executable, '-c', {inner!r}])"
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, preexec_fn=hears_interrupts)
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.05)
    child = int(file.read_text())
    parent.send_signal(number)
    parent.wait(10)
    while not _gone(child):
        assert time.monotonic() < deadline, "the tool has outlived its parent"
        time.sleep(0.05)
