"""Workers that are processes of this computer, each with a chip of its own that stays loaded between rounds."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

from trident.host.federated.message import Task, Update, from_bytes, to_bytes
from trident.host.federated.pool import OnStage, Reply
from trident.host.federated.serve import run_worker
from trident.host.federated.spec import FederatedSpec
from trident.host.federated.tags import ANSWER, END, FAULT, READY, STAGE
from trident.hw.errors import TridentError
from trident.sim.rtl.verilated import VerilatedChip

START = 300.0  # seconds that a worker may take until its chip is there
LARGEST = 1 << 28  # bytes of what a worker sends at once
_STOP = 2.0  # seconds until a process that was asked to end is killed


class Member:
    """One process. What it sends goes to ``inbox`` as (member, bytes), and (member, None) when it has ended."""

    def __init__(self, number: int, options: dict, target: Callable, inbox: SimpleQueue):
        # The server of forks has loaded the modules: a new process needs no time for that
        context = get_context("forkserver")
        context.set_forkserver_preload(["trident.host.federated.serve"])
        self.number, self.inbox = number, inbox
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=target, args=(options, number, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = self.ended = False
        self.busy: int | None = None  # the round of the task that it has not ended yet
        self.heard = monotonic()
        Thread(target=self._read, args=(self.connection,), daemon=True).start()

    def _read(self, connection: Connection):
        # In a thread, because a process may hang in the middle of a message
        try:
            while True:
                self.inbox.put((self, connection.recv_bytes(LARGEST)))
        except (EOFError, OSError):
            self.inbox.put((self, None))

    def send(self, task: Task):
        """Give it a task; returns at once, even if it does not read."""
        self.busy, self.heard = task.round, monotonic()
        octets = to_bytes(task)

        def write():
            try:
                self.connection.send_bytes(octets)
            except OSError:  # it has ended, which the reader tells
                return

        Thread(target=write, daemon=True).start()

    def kill(self):
        """End it, whatever it does."""
        self.process.kill()
        self.process.join()
        self.ended = True

    def stop(self):
        """Let it end; kill it if it is at work, or does not end."""
        if self.ready and self.busy is None and not self.ended:
            with suppress(OSError):
                self.connection.send_bytes(b"")
            self.process.join(_STOP)
        self.kill()


class Processes:
    """A :class:`WorkerPool` of processes, which are all there when the constructor returns.

    A process that has ended, or has not been heard of for half the time limit when a round ends, is replaced in the
    next round in which it takes part. target: what a process runs, by default :func:`run_worker`. Raises
    :class:`TridentError` when a worker cannot start, and :class:`BuildError`.
    """

    def __init__(self, spec: FederatedSpec, target: Callable = run_worker,
                 on_stage: OnStage = lambda number, stage, done, of: None):  # fmt: skip
        self.spec, self.target, self._inbox = spec, target, SimpleQueue()
        self._members: dict[int, Member] = {}
        if any(chip.kind == "rtl" for chip in spec.targets):  # built once, and not by every worker at the same time
            VerilatedChip(spec.run.cfg, spec.run.mesh, threads=1).close()
        try:
            missing = set(range(spec.settings.workers))
            for number in missing:
                on_stage(number, "starting", 0, 0)
                self._start(number)
            until = monotonic() + START
            while missing:
                for member, octets in self._next(until):
                    if octets is None or octets[:1] == FAULT:
                        raise TridentError(f"worker {member.number} cannot start: {_reason(member, octets)}")
                    member.ready = True
                    on_stage(member.number, "ready", 0, 0)
                    missing.discard(member.number)
                if missing and monotonic() > until:
                    raise TridentError(f"worker {min(missing)} has not started within {START:.0f} s")
        except BaseException:
            self.close()
            raise

    def _start(self, number: int):
        self._members[number] = Member(number, self.spec.options, self.target, self._inbox)

    def _next(self, until: float) -> Iterator[tuple[Member, bytes | None]]:
        """The next that came of a process which is still in use, or nothing when the time is over."""
        try:
            member, octets = self._inbox.get(timeout=max(until - monotonic(), 0.001))
        except Empty:
            return
        if self._members[member.number] is member:
            member.heard = monotonic()
            yield member, octets

    def work(self, tasks: dict[int, Task], timeout: float, on_stage: OnStage) -> Iterator[Reply]:
        """See :class:`WorkerPool`. What a worker still sends of an earlier round is not passed on."""
        until, pending, replied = monotonic() + timeout, set(tasks), set()
        for number in tasks:
            member = self._members[number]
            if member.ended or not member.process.is_alive():
                member.kill()
                on_stage(number, "starting", 0, 0)
                self._start(number)
            elif member.busy is None:
                member.send(tasks[number])
        while pending and monotonic() < until:
            for member, octets in self._next(until):
                number = member.number
                for reply in self._hear(member, octets, tasks.get(number), on_stage):
                    replied.add(number)
                    yield reply
                if member.ended or (number in replied and member.busy is None):
                    pending.discard(number)
        for number in sorted(pending):
            yield Reply(number, fault=self._late(self._members[number], timeout))

    def _hear(self, member: Member, octets: bytes | None, task: Task | None, on_stage: OnStage) -> Iterator[Reply]:
        """Take what came; yields what counts for the round of ``task``."""
        number, kind, body = member.number, octets and octets[:1], octets and octets[1:]
        current = task is not None and member.busy == task.round
        if octets is None:
            member.kill()
            if task is not None:
                yield Reply(number, fault=_reason(member, octets))
        elif kind == READY or (kind == END and body == str(member.busy).encode()):
            member.ready, member.busy = True, None
            if task is not None and not current:
                member.send(task)
        elif kind == STAGE and current:
            stage, done, of = json.loads(body)
            on_stage(number, stage, done, of)
        elif kind == FAULT and (current or not member.ready):
            yield Reply(number, fault=_reason(member, octets))
        elif kind == ANSWER and current:
            yield _reply(number, body)

    def _late(self, member: Member, timeout: float) -> str:
        silence = monotonic() - member.heard
        if silence < timeout / 2:
            return f"it had not answered after {timeout:g} s"
        member.kill()
        return f"it hung: nothing was heard of it for {silence:.1f} s"

    def close(self):
        """End all processes."""
        for member in self._members.values():
            member.stop()


def _reply(number: int, body: bytes) -> Reply:
    try:
        answer = from_bytes(body)
    except TridentError as fault:
        return Reply(number, fault=str(fault), octets=len(body))
    if not isinstance(answer, Update):
        return Reply(number, fault="what it sent is no answer", octets=len(body))
    return Reply(number, answer, octets=len(body))


def _reason(member: Member, octets: bytes | None) -> str:
    if octets is None:
        return f"it died (exit code {member.process.exitcode})"
    return octets[1:].decode(errors="replace")
