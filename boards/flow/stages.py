"""Stages of a build: a command with inputs and outputs, run once for the same inputs, tool and options."""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from trident.boards.flow.tools import Tool
from trident.hw.errors import Failure
from trident.hw.files import file_digest, write_whole
from trident.hw.processes import end_tool, start_tool

POLL = 0.1  # seconds


class StageError(Failure):
    """A tool failed; the message has its last lines and the path of its log."""


@dataclass(frozen=True)
class Stage:
    """A stage that is done.

    name; tool: with its version; digest: of command, tool and inputs; seconds: wall time; cpu_seconds: of the process;
    memory_mib: the most that it held; cached: it was done before.
    """

    name: str
    tool: str
    digest: str
    seconds: float
    cpu_seconds: float
    memory_mib: float
    cached: bool = False


class Stages:
    """The stages of one build in one folder.

    A stage leaves ``<name>.json`` when all its outputs are there. So what a broken run leaves behind is never taken for
    a result.
    """

    def __init__(self, folder: Path, started: Callable[[str, str], None], ended: Callable[[Stage], None]):
        """``started`` is told a stage's name and tool, ``ended`` the stage."""
        self.folder, self.started, self.ended = folder, started, ended
        self.done: list[Stage] = []

    def run(
        self, name: str, tool: Tool, arguments: tuple[str, ...], inputs: list[Path], outputs: tuple[str, ...],
        environment: dict[str, str] | None = None,
    ) -> Stage:  # fmt: skip
        """Run ``tool`` with ``arguments`` in the folder, unless it has been run on the same inputs.

        inputs: files that it reads; outputs: names of the files that it writes. Its output goes to ``<name>.log``.
        Raises :class:`StageError` when it fails.
        """
        facts = [name, str(tool), *arguments, *(f"{path.name} {file_digest(path)}" for path in inputs)]
        digest = hashlib.sha256("\0".join(facts).encode()).hexdigest()
        stage = self._known(name, digest, outputs)
        if stage is None:
            self.started(name, str(tool))
            stage = self._run(name, tool, arguments, outputs, environment or {}, digest)
        self.done.append(stage)
        self.ended(stage)
        return stage

    def _known(self, name: str, digest: str, outputs: tuple[str, ...]) -> Stage | None:
        """The stage as it was run before, if its outputs are still what they were."""
        try:
            record = json.loads((self.folder / f"{name}.json").read_text())
            kept = all(file_digest(self.folder / output) == record["outputs"][output] for output in outputs)
            return Stage(**record["stage"] | {"cached": True}) if kept and record["stage"]["digest"] == digest else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _run(self, name, tool, arguments, outputs, environment, digest) -> Stage:
        record = self.folder / f"{name}.json"
        for path in (record, *(self.folder / output for output in outputs)):
            path.unlink(missing_ok=True)
        log = self.folder / f"{name}.log"
        begun = time.monotonic()
        environment = environment | tool.environment()
        with log.open("w") as file:
            command = [*tool.command, *arguments]
            process = start_tool(command, self.folder, environment, stdout=file, stderr=subprocess.STDOUT)
            try:
                status, usage = self._wait(process)
            except BaseException:
                end_tool(process)
                raise
        missing = [output for output in outputs if not (self.folder / output).exists()]
        if status or missing:
            lines = log.read_text(errors="replace").splitlines()
            said = [line for line in lines if line.lower().startswith("error")][:5] or lines[-5:]
            what = f"ended with {status}" if status else f"wrote no {missing[0]}"
            raise StageError("\n".join([f"{tool.name} {what}, see {log}:", *said]))
        stage = Stage(
            name, str(tool), digest, round(time.monotonic() - begun, 1),
            round(usage.ru_utime + usage.ru_stime, 1), round(usage.ru_maxrss / 1024, 1),
        )  # fmt: skip
        facts = {"stage": asdict(stage), "outputs": {output: file_digest(self.folder / output) for output in outputs}}
        write_whole(record, json.dumps(facts, indent=1) + "\n")
        return stage

    @staticmethod
    def _wait(process: subprocess.Popen):
        """Exit status and use of resources of a process; waits in short naps, so that Ctrl-C comes through."""
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return process.returncode, usage
            time.sleep(POLL)
