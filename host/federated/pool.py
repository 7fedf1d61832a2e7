"""What carries tasks to workers and brings back their answers; and the simplest, workers in this process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from trident.host.federated.golden_learner import GoldenLearner
from trident.host.federated.message import Task, Update
from trident.host.federated.spec import FederatedSpec
from trident.host.federated.worker import Worker
from trident.hw.errors import TridentError

# What is told of a worker: its number, what it does, how many minibatches of how many it has done
OnStage = Callable[[int, str, int, int], None]


@dataclass(frozen=True)
class Reply:
    """What came of a worker in a round: an answer, or a sentence that says why there is none.

    octets: bytes that came. Several replies of one worker in a round are a fault of the worker.
    """

    worker: int
    answer: Update | None = None
    fault: str = ""
    octets: int = 0


class WorkerPool(Protocol):
    """The workers of a run."""

    def work(self, tasks: dict[int, Task], timeout: float, on_stage: OnStage) -> Iterator[Reply]:
        """Give every worker its task and yield what comes, in any order, until all have answered or failed, or
        ``timeout`` seconds are over; then a reply with a fault for every one that is missing."""
        ...

    def close(self): ...


class InProcess:
    """Workers that work one after the other in this process; without ``workers``, golden ones.

    They cannot hang or die; what they raise is their fault.
    """

    def __init__(self, spec: FederatedSpec, workers: dict[int, Worker] | None = None):
        self.spec, self._workers = spec, workers
        if workers is None:
            learner = GoldenLearner(spec.run)
            self._workers = {n: Worker(spec, n, learner) for n in range(spec.settings.workers)}

    def work(self, tasks: dict[int, Task], timeout: float, on_stage: OnStage) -> Iterator[Reply]:
        """See :class:`WorkerPool`; without a time limit."""
        for number, task in tasks.items():
            worker = self._workers[number]
            worker.on_stage = lambda stage, done, of, number=number: on_stage(number, stage, done, of)
            try:
                answer = worker.work(task)
            except TridentError as fault:
                yield Reply(number, fault=str(fault))
            else:
                on_stage(number, "answered", 0, 0)
                yield Reply(number, answer)

    def close(self):
        """End the learners."""
        for worker in self._workers.values():
            worker.learner.close()
