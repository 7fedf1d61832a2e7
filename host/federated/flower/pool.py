"""Workers that Flower reaches, on this computer or on others."""

from collections.abc import Iterator
from time import monotonic, sleep

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from trident.host.federated.flower.records import fault_of, from_record, to_record, worker_of
from trident.host.federated.message import Task, Update
from trident.host.federated.pool import OnStage, Reply
from trident.host.federated.spec import FederatedSpec
from trident.hw.errors import TridentError

START = 300.0  # seconds in which all workers must have come
ASK = 60.0  # seconds in which a node must say which worker it has
POLL = 0.1  # seconds


class FlowerPool:
    """A :class:`WorkerPool` behind Flower's grid. Each node has one worker, and says so when it is asked;
    a node that comes later, or comes back with another number, is asked at the next round.

    Raises :class:`TridentError` when a worker has not come within :data:`START` seconds.
    """

    def __init__(self, grid: Grid, spec: FederatedSpec, start: float = START):
        self.grid, self.spec = grid, spec
        self._nodes: dict[int, int] = {}  # of every worker
        until = monotonic() + start
        while missing := set(range(spec.settings.workers)) - set(self._nodes):
            if monotonic() > until:
                raise TridentError(f"no Flower node has come for worker {min(missing)} within {start:.0f} s")
            sleep(POLL)
            self._meet()

    def _meet(self):
        """Ask the nodes that are not known yet."""
        there = set(self.grid.get_node_ids())
        self._nodes = {worker: node for worker, node in self._nodes.items() if node in there}
        new = there - set(self._nodes.values())
        messages = [Message(RecordDict(), node, "query", ttl=ASK) for node in sorted(new)]
        for reply in self.grid.send_and_receive(messages, timeout=ASK) if messages else ():
            worker = None if reply.has_error() else worker_of(reply.content)
            if worker in range(self.spec.settings.workers):
                self._nodes[worker] = reply.metadata.src_node_id

    def work(self, tasks: dict[int, Task], timeout: float, on_stage: OnStage) -> Iterator[Reply]:
        """See :class:`WorkerPool`."""
        self._meet()
        until = monotonic() + timeout
        asked: dict[str, int] = {}
        for number, task in tasks.items():
            if identity := self._push(number, task, timeout):
                asked[identity] = number
                on_stage(number, "training", 0, 0)
            else:
                yield Reply(number, fault="its Flower node is away")
        while asked and monotonic() < until:
            for reply in self.grid.pull_messages(list(asked)):
                number = asked.pop(reply.metadata.reply_to_message_id, None)
                if number is not None:
                    on_stage(number, "answered", 0, 0)
                    yield _reply(number, reply)
            sleep(POLL)
        for number in asked.values():
            yield Reply(number, fault=f"it had not answered after {timeout:g} s")

    def _push(self, number: int, task: Task, timeout: float) -> str | None:
        """Send a task to the worker's node; returns what Flower calls the message, or nothing if it cannot be sent."""
        if number not in self._nodes:
            return None
        message = Message(to_record(task), self._nodes[number], "train", ttl=timeout)
        return next(iter(self.grid.push_messages([message])), None)

    def close(self):
        """Nothing to end: the nodes stay for another run."""


def _reply(number: int, message: Message) -> Reply:
    if message.has_error():
        return Reply(number, fault=f"its Flower node failed: {message.error.reason}")
    if sentence := fault_of(message.content):
        return Reply(number, fault=sentence)
    try:
        answer = from_record(message.content)
    except TridentError as fault:
        return Reply(number, fault=str(fault))
    return Reply(number, answer) if isinstance(answer, Update) else Reply(number, fault="what it sent is no answer")
