"""The rounds of a federated run: hand out the global weights, gather, check, average, test, keep a checkpoint."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Protocol

from trident.host.federated.evaluation import Evaluation
from trident.host.federated.message import Task, Update, describe, to_bytes
from trident.host.federated.pool import InProcess, Reply, WorkerPool
from trident.host.federated.spec import FederatedSpec
from trident.host.federated.weights import average, check, differing, initial
from trident.host.train.checkpoint import FEDERATED, Checkpoint, fill, named
from trident.host.train.compare import Divergence
from trident.hw.errors import Failure, TridentError


class TooFewWorkers(Failure):
    """A round had fewer good answers than it needs; the message says what became of the others."""


@dataclass
class Round:
    """One round, as plain values: ``number`` from 1; mean loss, and accuracy within 0 to 1, of the new global weights
    over the test samples; per worker (numbers as text) whose answer counts, the answer without its weights; per worker
    that was left out, why; bytes of the tasks and of the answers; seconds."""

    number: int
    loss: float = 0.0
    accuracy: float = 0.0
    workers: dict[str, dict] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    received: int = 0
    seconds: float = 0.0


@dataclass
class Progress:
    """Where a run is: loss scale of every worker, after its last answer that counted, and all rounds."""

    scales: list[float]
    rounds: list[Round] = field(default_factory=list)


class Display(Protocol):
    """What is told how a run goes."""

    def worker(self, number: int, stage: str, done: int, of: int): ...

    def left_out(self, number: int, fault: str): ...

    def round(self, done: Round): ...


def resumed(spec: FederatedSpec, path: Path) -> Checkpoint:
    """The checkpoint at ``path``. Raises :class:`TridentError` unless it is one that a run of ``spec`` can have
    written, with no more rounds than ``spec`` asks for."""
    state, where = Checkpoint.load(path, FEDERATED), str(path)
    state.check(spec.settings_values(), path)
    progress = fill(Progress, state.progress, where)
    largest, workers = spec.run.train.loss_scale, {str(number) for number in range(spec.settings.workers)}
    sizes = {
        "scales": len(progress.scales) == len(workers) and all(0 < scale <= largest for scale in progress.scales),
        "rounds": [done.number for done in progress.rounds] == list(range(1, len(progress.rounds) + 1)),
        "workers": all(workers >= {*done.workers, *done.left_out} for done in progress.rounds),
    }
    for name, good in sizes.items():
        if not good:
            raise TridentError(f"{where} is damaged: its {name} are not those of such a run")
    if len(progress.rounds) > spec.settings.rounds:
        raise TridentError(
            f"the run in {path} has done {len(progress.rounds)} rounds already: ask for at least as many, not "
            f"{spec.settings.rounds}"
        )
    check(state.tensors("weights"), spec.run.network, spec.format)
    return state


class Server:
    """One federated run of ``spec`` with the workers of ``pool``, with a checkpoint at ``path`` after every round.

    The result depends on which answers count, not on when or in which order they come. golden: compare every answer
    that counts with what the golden model makes of the same task, bit for bit.
    With ``resume``, from :func:`resumed`, it goes on from there and ends with the weights that an unbroken run has.
    """

    def __init__(
        self, spec: FederatedSpec, pool: WorkerPool, display: Display, path: Path, resume: Checkpoint | None = None,
        golden: bool = True,
    ):  # fmt: skip
        self.spec, self.pool, self.display, self.path = spec, pool, display, path
        run = spec.run
        self.weights = initial(run.network, run.train.seed, spec.format)
        self.progress = Progress([float(run.train.loss_scale)] * spec.settings.workers)
        if resume:
            self.progress = fill(Progress, resume.progress, str(path))
            self.weights = resume.tensors("weights")
        self._golden = InProcess(spec) if golden else None
        self.compared = 0
        self._test = Evaluation(spec)

    def run(self):
        """Go on to the last round.

        Raises :class:`TooFewWorkers`, and :class:`Divergence` when a worker's
        answer is not golden's.
        """
        rounds = self.spec.settings.rounds
        while len(self.progress.rounds) < rounds:
            self._round(Round(len(self.progress.rounds) + 1))

    def _round(self, now: Round):
        spec, began = self.spec, perf_counter()
        tasks = {
            number: Task(spec.digest, now.number, number, self.progress.scales[number], self.weights)
            for number in spec.participants(now.number)
        }  # fmt: skip
        now.sent = sum(len(to_bytes(task)) for task in tasks.values())
        updates = self._gather(now, tasks)
        if len(updates) < spec.settings.min_workers:
            reasons = "; ".join(f"worker {number}: {fault}" for number, fault in now.left_out.items())
            raise TooFewWorkers(
                f"round {now.number} has {len(updates)} good answers of {len(tasks)} workers, fewer than the "
                f"{spec.settings.min_workers} it needs: {reasons or 'no worker answered'}"
            )
        if self._golden:
            self._compare(updates, tasks)
        self.weights = average([(n, update.samples, update.weights) for n, update in updates.items()], spec.format)
        for number, update in updates.items():
            self.progress.scales[number] = update.scale
            now.workers[str(number)] = describe(update)
        tally = self._test.tally(self.weights)
        now.loss, now.accuracy = tally.mean_loss, tally.accuracy
        now.seconds = perf_counter() - began
        self.progress.rounds.append(now)
        self._save()
        self.display.round(now)

    def _gather(self, now: Round, tasks: dict[int, Task]) -> dict[int, Update]:
        """The answers that count, in ascending number of the worker."""
        updates: dict[int, Update] = {}
        for reply in self.pool.work(tasks, self.spec.settings.timeout, self.display.worker):
            now.received += reply.octets or (len(to_bytes(reply.answer)) if reply.answer else 0)
            fault = reply.fault or self._fault(reply, tasks, updates)
            if fault:
                updates.pop(reply.worker, None)
                if str(reply.worker) not in now.left_out:
                    now.left_out[str(reply.worker)] = fault
                    self.display.left_out(reply.worker, fault)
            elif str(reply.worker) not in now.left_out:
                updates[reply.worker] = reply.answer
        now.left_out = dict(sorted(now.left_out.items(), key=lambda item: int(item[0])))
        return dict(sorted(updates.items()))

    def _fault(self, reply: Reply, tasks: dict[int, Task], updates: dict[int, Update]) -> str:
        """Why an answer does not count; empty if it does."""
        answer = reply.answer
        if not isinstance(answer, Update):
            return "what it sent is no answer"
        if answer.run != self.spec.digest or answer.worker != reply.worker or reply.worker not in tasks:
            return "it answered a task that it was not given"
        if answer.round != tasks[reply.worker].round:
            return f"its answer is of round {answer.round}"
        if answer.samples < 1:
            return f"it says that it has {answer.samples} samples"
        if not 0 < answer.scale <= tasks[reply.worker].scale:
            return f"it says that its loss scale went from {tasks[reply.worker].scale:g} to {answer.scale:g}"
        try:
            check(answer.weights, self.spec.run.network, self.spec.format)
        except TridentError as fault:
            return f"it sent {fault}"
        return "it answered twice" if reply.worker in updates else ""

    def _compare(self, updates: dict[int, Update], tasks: dict[int, Task]):
        for reply in self._golden.work({n: tasks[n] for n in updates}, 0, lambda *_: None):
            found, where = updates[reply.worker], f"worker {reply.worker} in round {tasks[reply.worker].round}"
            if not reply.answer:
                raise Divergence(f"{where} answered where golden says: {reply.fault}")
            count, first = differing(found.weights, reply.answer.weights)
            if count:
                raise Divergence(f"{where} differs from golden in {count} weights, first in {first}")
            for name in ("samples", "scale", "skipped", "loss", "accuracy"):
                ours, golden = getattr(found, name), getattr(reply.answer, name)
                if ours != golden:
                    raise Divergence(f"{where} differs from golden in {name}: {ours}, expected {golden}")
            self.compared += sum(values.size for values in found.weights.values())

    def _save(self):
        arrays = named("weights", self.weights)
        Checkpoint(self.spec.settings_values(), asdict(self.progress), arrays, FEDERATED).save(self.path)
