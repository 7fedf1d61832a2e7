"""Every fault of a worker, at every stage of a round: it is left out, the round goes on, and it comes back."""

import os
import re
from functools import partial

import pytest

from tests.host.federated.case import Absent, Watch, same, spec_of
from tests.host.federated.faulty import KINDS, STAGES, Fault, run_faulty
from trident.host.federated.pool import InProcess
from trident.host.federated.processes import Processes
from trident.host.federated.server import Server, TooFewWorkers
from trident.host.train.checkpoint import FEDERATED, Checkpoint
from trident.hw.errors import TridentError

FULL = os.environ.get("TRIDENT_EXHAUSTIVE") == "1"  # waits for time limits at every stage
SHORT, LONG = 1.5, 60.0  # seconds: time limit of a round in which someone hangs or is late, and of the others
BAD = 1  # the worker that goes wrong
REASONS = {
    "die": r"it died \(exit code -9\)", "hang": "it hung", "late": "it had not answered after 1.5 s",
    "twice": "it answered twice", "shape": "it sent linear1.weight of shape", "damage": "checksum is wrong",
    "nan": r"it sent linear2.weight with NaN, first at \(0, 2, 1\)",
}  # fmt: skip


class Timed(Processes):
    """Processes with a short time limit in the rounds where that is waited for."""

    def work(self, tasks, timeout, on_stage):
        number = next(iter(tasks.values())).round
        fault = self.target.args[0][BAD].get(number)
        return super().work(tasks, SHORT if fault and fault.kind in ("hang", "late") else LONG, on_stage)


@pytest.mark.parametrize("kinds", [KINDS[:1], KINDS[1:2], KINDS[2:3], KINDS[3:]], ids="-".join)
def test_a_fault_at_every_stage(data, tmp_path, kinds):
    """Every second round has a fault, at one stage after the other; in between the worker is back."""
    waits = kinds[0] in ("hang", "late") and not FULL
    stages = ("received", "sending", "answered") if waits else STAGES
    every = [Fault(kind, stage, SHORT + 0.5) for kind in kinds for stage in stages]
    faults = {2 * n + 1: fault for n, fault in enumerate(every)}
    spec = spec_of(data, rounds=2 * len(faults))
    watch = Watch()
    pool = Timed(spec, partial(run_faulty, {BAD: faults}))
    try:
        server = Server(spec, pool, watch, tmp_path / "c.npz")  # compares every answer that counts with golden's
        server.run()
    finally:
        pool.close()
    assert [number for number, _ in watch.faults] == [BAD] * len(faults)
    for done in server.progress.rounds:
        if done.number in faults:
            assert list(done.workers) == ["0", "2"] and list(done.left_out) == [str(BAD)], faults[done.number]
            # A worker that is silent in the middle of a message looks as one that hangs
            fault = faults[done.number]
            silent = fault.kind == "late" and fault.stage == "sending"
            assert re.search(REASONS["hang" if silent else fault.kind], done.left_out[str(BAD)]), fault
        else:
            assert list(done.workers) == ["0", "1", "2"] and not done.left_out
    golden = Server(spec, Absent(spec, BAD, faults), Watch(), tmp_path / "g.npz", golden=False)
    golden.run()
    assert same(server.weights, golden.weights)


def test_too_many_faults_end_the_run_and_it_can_be_resumed(data, tmp_path):
    spec = spec_of(data, rounds=3)
    die = Fault("die", "training")
    pool = Processes(spec, partial(run_faulty, {0: {2: die}, 2: {2: die}}))
    with pytest.raises(TooFewWorkers, match="round 2 has 1 good answers of 3 workers.*worker 0: it died.*worker 2: it"):
        try:
            Server(spec, pool, Watch(), tmp_path / "c.npz").run()
        finally:
            pool.close()
    whole = Server(spec, InProcess(spec), Watch(), tmp_path / "w.npz")
    whole.run()
    resumed = Server(spec, InProcess(spec), Watch(), tmp_path / "c.npz", Checkpoint.load(tmp_path / "c.npz", FEDERATED))
    resumed.run()
    assert same(resumed.weights, whole.weights)


def test_a_worker_that_cannot_start_is_told(data):
    spec = spec_of(data, target="serial", ports=["/dev/no-such-port"])
    with pytest.raises(TridentError, match="worker 0 cannot start: there is no port /dev/no-such-port"):
        Processes(spec)
