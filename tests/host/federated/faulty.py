"""A worker's process that goes wrong when and how a test says."""

import os
import signal
import struct
import time
from dataclasses import dataclass
from functools import partial

from trident.host.federated.message import Task, Update, from_bytes, to_bytes
from trident.host.federated.serve import Service, run_listener, run_worker
from trident.host.federated.tags import ANSWER

KINDS = ("die", "hang", "late", "twice", "shape", "nan", "damage")
# Those of a worker, and "sending": in the middle of the message that is the answer
STAGES = ("received", "loaded", "training", "trained", "sending", "answered")


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a round: kind of :data:`KINDS`, stage of :data:`STAGES`; ``seconds`` that a late worker is
    late."""

    kind: str
    stage: str
    seconds: float = 0.0


class FaultyService(Service):
    """A :class:`Service` with a fault in some rounds; everything else is the real one."""

    def __init__(self, faults: dict[int, Fault], worker, connection, **more):
        self.faults, self.fault, self.task = faults, None, None
        super().__init__(worker, connection, **more)

    def answer(self, octets):
        task = from_bytes(octets)
        self.fault, self.task = self.faults.get(task.round), task
        super().answer(octets)

    def send_stage(self, stage, done, of):
        super().send_stage(stage, done, of)
        if self.fault and self.fault.stage == stage:
            fault, self.fault = self.fault, None
            self.strike(fault)

    def send(self, update: Update):
        if self.fault and self.fault.stage == "sending":
            octets = ANSWER + to_bytes(update)
            if self.fault.kind in ("die", "hang", "late"):  # half of the message, then the fault, then the rest
                framed = struct.pack("!i", len(octets)) + octets
                os.write(self.connection.fileno(), framed[: len(framed) // 2])
                self.strike(self.fault)
                os.write(self.connection.fileno(), framed[len(framed) // 2 :])
                return
            self.strike(self.fault)
        super().send(update)

    def strike(self, fault: Fault):
        if fault.kind == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.kind == "hang":
            time.sleep(3600)
        elif fault.kind == "late":
            until = time.monotonic() + fault.seconds
            while time.monotonic() < until:
                time.sleep(0.05)
                if fault.stage != "sending":
                    super().send_stage(fault.stage, 0, 0)
        else:
            self.connection.send_bytes(ANSWER + wrong(self.task, fault.kind))


def wrong(task: Task, kind: str) -> bytes:
    """An answer that is wrong in itself; "twice" is a good one, which only comes in addition."""
    weights = {name: values.copy() for name, values in task.weights.items()}
    if kind == "shape":
        weights["linear1.weight"] = weights["linear1.weight"][:, :-1]
    elif kind == "nan":
        weights["linear2.weight"][0, 2, 1] = 0x7E00
    answer = Update(task.run, task.round, task.worker, task.scale, 10, 0, 0.5, 0.5, 0.1, {}, weights)
    octets = to_bytes(answer)
    return octets[:-1] + bytes([octets[-1] ^ 1]) if kind == "damage" else octets


def run_faulty(faults: dict[int, dict[int, Fault]], options, number, connection):
    """As :func:`run_worker`, with faults by worker and round."""
    run_worker(options, number, connection, partial(FaultyService, faults.get(number, {})))


def run_faulty_listener(faults: dict[int, dict[int, Fault]], options, number, *more):
    """As :func:`run_listener`, with faults by worker and round."""
    run_listener(options, number, *more, partial(FaultyService, faults.get(number, {})))
