"""The workers of this computer that Flower's nodes pass their tasks on to."""

import json
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic

from trident.host.federated.flower.worker import key_of
from trident.host.federated.pool import OnStage
from trident.host.federated.serve import run_listener
from trident.host.federated.server import Round
from trident.host.federated.spec import FederatedSpec
from trident.host.federated.tags import FAULT, STAGE
from trident.hw.errors import TridentError
from trident.sim.rtl.verilated import VerilatedChip

START = 300.0  # seconds that a worker may take until its chip is there


class Listeners:
    """The workers of a run as processes that listen on Unix sockets in ``folder``. All are there when the constructor
    returns; they end with it and with this process.

    target: what a process runs, by default :func:`run_listener`. nodes: per worker, what its Flower node must know.
    Raises :class:`TridentError` when a worker cannot start, and :class:`BuildError`.
    """

    def __init__(self, spec: FederatedSpec, folder: Path, target: Callable = run_listener):
        self.spec, self.folder, self.target, self.key = spec, folder, target, key_of(folder)
        self.processes: dict[int, BaseProcess] = {}
        self._pipes: dict[int, Connection] = {}
        self._heard: dict[int, float] = {}
        if any(chip.kind == "rtl" for chip in spec.targets):  # built once, and not by every worker at the same time
            VerilatedChip(spec.run.cfg, spec.run.mesh, threads=1).close()
        try:
            for number in range(spec.settings.workers):
                self._start(number)
            for number, pipe in self._pipes.items():
                try:
                    said = pipe.recv_bytes() if pipe.poll(START) else FAULT + b"it takes too long"
                except EOFError:
                    said = FAULT + b"it died"
                if said[:1] == FAULT:
                    raise TridentError(f"worker {number} cannot start: {said[1:].decode()}")
        except BaseException:
            self.close()
            raise

    @property
    def nodes(self) -> list[dict]:
        return [
            {"worker": number, "socket": str(self._address(number)), "key": str(self.key)} for number in self.processes
        ]

    def _address(self, number: int) -> Path:
        return self.folder / f"worker{number}"

    def _start(self, number: int):
        # The server of forks has loaded the modules: a new process needs no time for that
        context = get_context("forkserver")
        context.set_forkserver_preload(["trident.host.federated.serve"])
        ours, theirs = context.Pipe()
        address = self._address(number)
        address.unlink(missing_ok=True)  # of one that was killed
        process = context.Process(
            target=self.target, args=(self.spec.options, number, str(address), self.key.read_bytes(), theirs),
            daemon=True,
        )  # fmt: skip
        process.start()
        theirs.close()
        self.processes[number], self._pipes[number], self._heard[number] = process, ours, monotonic()

    def hear(self, on_stage: OnStage):
        """Pass on what the workers have said of their work; returns at once."""
        for number, pipe in self._pipes.items():
            try:
                while pipe.poll():
                    octets = pipe.recv_bytes()
                    self._heard[number] = monotonic()
                    if octets[:1] == STAGE:
                        on_stage(number, *json.loads(octets[1:]))
            except (EOFError, OSError):
                continue  # it has ended, which the end of the round tells

    def mend(self, done: Round):
        """After a round: replace every worker that has ended, or was left out and has not been heard of for half the
        time limit."""
        for number, process in self.processes.items():
            silence = monotonic() - self._heard[number]
            hangs = str(number) in done.left_out and silence > self.spec.settings.timeout / 2
            if hangs or not process.is_alive():
                self._end(number)
                self._start(number)

    def _end(self, number: int):
        self.processes[number].kill()
        self.processes[number].join()
        self._pipes[number].close()

    def close(self):
        """End all processes."""
        for number in self.processes:
            self._end(number)
