"""The process of a worker: it builds or opens its chip, and then answers tasks as long as someone asks."""

import json
import os
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from multiprocessing import AuthenticationError, parent_process
from multiprocessing.connection import Connection, Listener, wait

from trident.host.driver.driver import CoreStuck
from trident.host.driver.endpoint import LinkDown
from trident.host.federated.message import Update, from_bytes, to_bytes
from trident.host.federated.spec import FederatedSpec
from trident.host.federated.tags import ANSWER, END, FAULT, READY, STAGE
from trident.host.federated.worker import Worker
from trident.host.train.chip_learner import ChipLearner, NumericFault
from trident.hw.errors import TridentError
from trident.sim.golden.constants import NeuronConstants
from trident.sim.rtl.build import BuildError

# After these the chip is in an unknown state: the process ends, and the next one begins with a chip that is reset
FATAL = (CoreStuck, LinkDown, NumericFault, BuildError)


class Service:
    """Answers the tasks that come over ``connection``. For each it sends stages, one answer or fault, and the end.
    ``on_stage`` is called with the stages, too."""

    def __init__(self, worker: Worker, connection: Connection,
                 on_stage: Callable[[str, int, int], None] = lambda stage, done, of: None):  # fmt: skip
        self.worker, self.connection, self.on_stage = worker, connection, on_stage
        worker.on_stage = self.send_stage

    def run(self):
        """Answer until the other end is gone, or sends nothing in place of a task.

        Raises one of :data:`FATAL`, after it has been told.
        """
        try:
            self.connection.send_bytes(READY)
            while octets := self.connection.recv_bytes():
                self.answer(octets)
        except (EOFError, OSError):
            return

    def answer(self, octets: bytes):
        """Do one task."""
        number = 0
        try:
            task = from_bytes(octets)
            number = task.round
            update = self.worker.work(task)
        except FATAL as fault:
            self.connection.send_bytes(FAULT + str(fault).encode())
            raise
        except TridentError as fault:
            self.connection.send_bytes(FAULT + str(fault).encode())
        else:
            self.send(update)
        self.send_stage("answered", 0, 0)
        self.connection.send_bytes(END + str(number).encode())

    def send(self, update: Update):
        """Send an answer."""
        self.connection.send_bytes(ANSWER + to_bytes(update))

    def send_stage(self, stage: str, done: int, of: int):
        """Say where the work is, see :data:`STAGES`."""
        self.on_stage(stage, done, of)
        self.connection.send_bytes(_stage(stage, done, of))


def _stage(stage: str, done: int, of: int) -> bytes:
    return STAGE + json.dumps([stage, done, of]).encode()


def chip_learner(spec: FederatedSpec, number: int) -> ChipLearner:
    """The chip of a worker. A simulated one takes one thread, because other workers run beside it.

    Raises what :meth:`Target.connect` raises.
    """
    run = spec.run
    chip = spec.targets[number].connect(run.cfg, run.mesh, threads=1)
    constants = NeuronConstants.of_network(run.network, run.neuron, run.cfg)
    return ChipLearner(run.plan, constants, chip, run.loss, run.train.seed)


def make_worker(options: dict, number: int) -> Worker:
    """A worker on its chip. Raises what :meth:`FederatedSpec.make` and :func:`chip_learner` raise."""
    spec = FederatedSpec.make(options)
    spec.check_worker(number)
    return Worker(spec, number, chip_learner(spec, number))


def run_worker(options: dict, number: int, connection: Connection, service: type[Service] = Service):
    """The whole life of a process that its parent talks to over ``connection``; it ends with its parent."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    try:
        worker = make_worker(options, number)
    except (TridentError, *FATAL) as fault:
        connection.send_bytes(FAULT + str(fault).encode())
        return
    with closing(worker.learner):
        try:
            service(worker, connection).run()
        except FATAL:
            return  # has been told


def run_listener(
    options: dict, number: int, address: str, key: bytes, parent: Connection, service: type[Service] = Service
):
    """The whole life of a process that answers whoever connects to the Unix socket ``address`` and knows ``key``, one
    after the other. Its parent, with which it ends, is told over ``parent`` when the chip is there, or why it cannot
    be, and then every stage of the work."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def on_stage(stage: str, done: int, of: int):
        parent.send_bytes(_stage(stage, done, of))

    try:
        listen(options, number, address, key, lambda: parent.send_bytes(READY), partial(service, on_stage=on_stage))
    except (TridentError, OSError, *FATAL) as fault:
        parent.send_bytes(FAULT + str(fault).encode())


def listen(options: dict, number: int, address: str, key: bytes, ready: Callable[[], None],
           service: Callable[[Worker, Connection], Service] = Service):  # fmt: skip
    """Answer whoever connects to the Unix socket ``address`` and knows ``key``, one after the other, without end.

    ``ready`` is called when the chip is there. After one of :data:`FATAL` the chip is made anew. Raises
    :class:`TridentError` or one of :data:`FATAL` when it cannot be made, and OSError when there can be no such socket.
    """
    worker = make_worker(options, number)
    with Listener(address, "AF_UNIX", authkey=key) as socket:
        ready()
        while True:
            try:
                with socket.accept() as connection:
                    service(worker, connection).run()
            except FATAL:
                worker.learner.close()
                worker = make_worker(options, number)
            except (AuthenticationError, EOFError, ConnectionError):
                continue


def end_with_parent():
    """Let this process end when its parent does, whatever it is doing."""
    parent = parent_process()
    if parent is None:
        return

    def watch():
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
