"""Tools that are run: they end when this process ends, however it ends."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None


def _die_with_parent():
    if _PRCTL:
        _PRCTL(_DEATH_SIGNAL, signal.SIGKILL)


def start_tool(
    command: list[str], folder: Path | None = None, environment: dict[str, str] | None = None,
    stdin: int | None = subprocess.DEVNULL, stdout: int | IO | None = subprocess.PIPE,
    stderr: int | IO | None = subprocess.PIPE,
) -> subprocess.Popen:  # fmt: skip
    """Start a tool in a process group of its own; the kernel kills it when the thread that started it is no more.

    ``environment`` is added to that of this process. Raises OSError when there is no such tool.
    """
    return subprocess.Popen(
        command, cwd=folder, env=os.environ | (environment or {}), stdin=stdin, stdout=stdout, stderr=stderr,
        start_new_session=True, preexec_fn=_die_with_parent,
    )  # fmt: skip


def end_tool(process: subprocess.Popen):
    """Kill a tool and all that it has started, and wait for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_tool(
    command: list[str], folder: Path | None = None, text: str | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess:
    """Run a tool to its end, with ``text`` on its standard input; its output is in the result, as text.

    Whatever interrupts the wait, Ctrl-C for example, ends the tool and all that it has started. Raises OSError when
    there is no such tool.
    """
    process = start_tool(command, folder, environment, subprocess.DEVNULL if text is None else subprocess.PIPE)
    try:
        stdout, stderr = process.communicate(None if text is None else text.encode())
    except BaseException:
        end_tool(process)
        raise
    decoded = (octets.decode(errors="replace") for octets in (stdout, stderr))
    return subprocess.CompletedProcess(command, process.returncode, *decoded)
