"""Flower as the engine: records, certificates, workers, and whole runs on loopback (more with TRIDENT_EXHAUSTIVE=1)."""

import json
import os
import ssl
import stat
import subprocess
import sys
from contextlib import closing, suppress
from functools import partial
from io import StringIO
from pathlib import Path
from time import sleep

import pytest
from rich.console import Console

from tests.host.federated.case import Absent, Watch, same, spec_of, weights_of
from tests.host.federated.faulty import Fault, run_faulty_listener
from tests.host.federated.test_message import TASK, UPDATE
from trident.host.federated.message import Task
from trident.host.federated.pool import InProcess
from trident.host.federated.server import Round, Server
from trident.host.federated.weights import initial
from trident.hw.errors import TridentError

pytestmark = pytest.mark.slow

pytest.importorskip("flwr", reason="Flower is not installed: it is the extra flower")
FULL = os.environ.get("TRIDENT_EXHAUSTIVE") == "1"
LISTEN, LOOPBACK = "0A", "0100007F"  # in /proc/net/tcp
BAD = 1  # the worker that goes wrong


@pytest.mark.parametrize("message", [TASK, UPDATE])
def test_a_message_comes_back_from_its_record(message):
    from trident.host.federated.flower.records import from_record, to_record

    found = from_record(to_record(message))
    assert found == message and same(found.weights, message.weights)


def test_a_damaged_or_foreign_record_is_refused():
    from flwr.app import ArrayRecord, ConfigRecord, RecordDict

    from trident.host.federated.flower.records import (
        fault_of,
        fault_record,
        from_record,
        to_record,
        worker_of,
        worker_record,
    )

    record = to_record(TASK)
    weights = record["weights"].to_numpy_ndarrays()
    weights[0] = weights[0] ^ 1
    record["weights"] = ArrayRecord(weights)
    with pytest.raises(TridentError, match="checksum"):
        from_record(record)
    with pytest.raises(TridentError, match="no message of a federated run"):
        from_record(RecordDict())
    assert fault_of(fault_record("it is broken")) == "it is broken" and not fault_of(record)
    assert worker_of(worker_record(2)) == 2
    for foreign in (record, RecordDict(), RecordDict({"node": ConfigRecord({"worker": "2"})})):
        assert worker_of(foreign) is None


def shake_hands(server, client, host):
    """A handshake of TLS in memory; returns what the client says of the server."""
    wires = [ssl.MemoryBIO() for _ in range(4)]
    ends = [client.wrap_bio(wires[0], wires[1], server_hostname=host),
            server.wrap_bio(wires[1], wires[0], server_side=True)]  # fmt: skip
    left = list(ends)
    for _ in range(10):
        for end in list(left):
            try:
                end.do_handshake()
                left.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not left
    return ends[0].getpeercert()


def test_certificates_vouch_for_their_hosts_only(tmp_path):
    from trident.host.federated.flower.certificates import make_certificates

    authority, certificate, key = make_certificates(tmp_path)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=authority)
    assert shake_hands(server, client, "localhost") and shake_hands(server, client, "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(server, client, "example.org")
    (tmp_path / "other").mkdir()
    stranger = ssl.create_default_context(cafile=make_certificates(tmp_path / "other")[0])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, stranger, "localhost")


def test_a_worker_that_goes_wrong_is_told_in_a_sentence_and_replaced(data, tmp_path):
    """What a node's client says of its worker, and that the worker is back afterwards, also where it hung."""
    from trident.host.federated.flower.client_app import ask
    from trident.host.federated.flower.listeners import Listeners

    reasons = {
        Fault("die", "sending"): "its worker died", Fault("twice", "training"): "it answered twice",
        Fault("late", "training", 3.0): "its worker had not answered after 1.5 s",
        Fault("hang", "training"): "its worker had not answered after 1.5 s",
    }  # fmt: skip
    spec, watch = spec_of(data, workers=1, timeout=1.5), Watch()
    weights = initial(spec.run.network, 3, spec.format)
    golden = next(InProcess(spec).work({0: Task(spec.digest, 9, 0, 256.0, weights)}, 0, lambda *_: None)).answer
    faults = {0: dict(enumerate(reasons, 1))}
    with closing(Listeners(spec, tmp_path, partial(run_faulty_listener, faults))) as workers:
        (node,) = workers.nodes
        key = workers.key.read_bytes()
        for number, (fault, reason) in enumerate(reasons.items(), 1):
            first = workers.processes[0]
            with pytest.raises(TridentError, match=reason):
                ask(node["socket"], key, Task(spec.digest, number, 0, 256.0, weights), 1.5 if "1.5" in reason else 30.0)
            if fault.kind == "die":
                first.join(10)
            if fault.kind == "hang":
                workers.hear(watch.worker)
                sleep(1.0)
            workers.hear(watch.worker)
            workers.mend(Round(number, left_out={"0": reason}))
            assert (workers.processes[0] is first) == (fault.kind in ("twice", "late"))
            answer = ask(node["socket"], key, Task(spec.digest, 9, 0, 256.0, weights), 30.0)
            assert same(answer.weights, golden.weights) and answer.loss == golden.loss
        with pytest.raises(TridentError, match="another key"):
            ask(node["socket"], b"another", Task(spec.digest, 9, 0, 256.0, weights), 30.0)
        workers.hear(watch.worker)
    assert {stage for _, stage, *_ in watch.stages} == {"received", "loaded", "training", "trained", "answered"}
    assert not workers.processes[0].is_alive()


def test_what_was_ended_is_gone():
    """Also what was started by others and holds memory, and so takes a while to go."""
    from trident.host.federated.flower.network import end, family, is_running

    hold = f"{sys.executable} -c 'import time; held = bytearray(1 << 29); print(flush=True); time.sleep(60)'"
    with subprocess.Popen(["sh", "-c", f"{hold} & {hold} & wait"], stdout=subprocess.PIPE) as first:
        first.stdout.readline(), first.stdout.readline()
        started = family({first.pid})
        assert len(started) == 3 and is_running(*started)
        end({first.pid})
        assert not is_running(*started)


def test_a_run_over_tls_in_which_a_worker_dies(data, tmp_path):
    """Every process of Flower, on loopback only; the weights are those of golden workers without that answer."""
    from trident.host.federated.flower.listeners import Listeners
    from trident.host.federated.flower.network import Network, is_running
    from trident.host.federated.flower.run import follow
    from trident.host.federated.flower.server_app import OUTCOME

    spec, watch = spec_of(data, rounds=2, workers=2, min_workers=1, timeout=120.0), Watch()
    die = {BAD: {1: Fault("die", "training")}}
    with closing(Listeners(spec, tmp_path, partial(run_faulty_listener, die))) as workers:
        with closing(Network(workers.nodes, tmp_path, tls=True)) as network:
            network.submit({"options": json.dumps(spec.options), "folder": str(tmp_path), "resume": False})
            assert follow(tmp_path, workers, network, watch, 0) == 3 * spec.run.network.weights
            places = listening({process.pid for process in network.processes})
            assert len(places) == 3 and {place.partition(":")[0] for place in places} == {LOOPBACK}
    assert watch.faults == [(BAD, "its worker died")]
    assert [list(done.workers) for done in watch.rounds] == [["0"], ["0", "1"]]
    assert not is_running(json.loads((tmp_path / OUTCOME).read_text())["process"])
    golden = Server(spec, Absent(spec, BAD, {1}), Watch(), tmp_path / "g.npz", golden=False)
    golden.run()
    assert same(weights_of(tmp_path / "checkpoint.npz"), golden.weights)


def listening(numbers):
    """Addresses and ports, in hexadecimal, at which these processes and all that they have started listen."""
    from trident.host.federated.flower.network import family

    own = set()
    for number in family(numbers):
        with suppress(FileNotFoundError):  # it has ended
            own |= {os.readlink(path) for path in Path(f"/proc/{number}/fd").iterdir()}
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {line[1] for line in lines if line[3] == LISTEN and f"socket:[{line[9]}]" in own}


@pytest.mark.skipif(not FULL, reason="TRIDENT_EXHAUSTIVE=1 runs it")
def test_the_command_with_flower_ends_as_one_in_this_process(data, tmp_path):
    from trident.host.federated.flower.run import federate_with_flower

    text, out = StringIO(), tmp_path / "out"
    federate_with_flower(spec_of(data, rounds=2, split="by-class"), out, Console(file=text))
    spec = spec_of(data, rounds=3, split="by-class")
    federate_with_flower(spec, out, Console(file=text), resume=True)
    golden = Server(spec, InProcess(spec), Watch(), tmp_path / "c.npz")
    golden.run()
    assert same(weights_of(out / "checkpoint.npz"), golden.weights)
    assert text.getvalue().count("equal golden's, bit for bit") == 2 and "round  3/3" in text.getvalue()
    with pytest.raises(TridentError, match="federated.split by-class, not iid"):
        federate_with_flower(spec_of(data, rounds=3), out, Console(file=text), resume=True)
