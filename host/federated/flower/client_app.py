"""The client that Flower runs, in a new process for every message: it passes the task to the worker, whose process
keeps its chip loaded.

``node_config``: ``worker``, its number; ``socket``, the Unix socket at which it listens; ``key``, a file with the key
that the socket asks for.
"""

from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, sleep

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from trident.host.federated.flower.records import fault_record, from_record, to_record, worker_record
from trident.host.federated.message import Task, Update, from_bytes, to_bytes
from trident.host.federated.tags import ANSWER, END, FAULT
from trident.hw.errors import TridentError

START = 20.0  # seconds in which a worker that has ended must be back
POLL = 0.2  # seconds
app = ClientApp()


def ask(socket: str, key: bytes, task: Task, timeout: float) -> Update:
    """Let the worker that listens at ``socket`` do a task.

    Raises :class:`TridentError` that says why there is no answer after ``timeout`` seconds. Who waits in vain for a
    worker that hangs waits in a thread, because Flower gives a node no other message until this one is answered.
    """
    inbox: SimpleQueue[Update | str] = SimpleQueue()

    def talk():
        try:
            with _connect(socket, key) as connection:
                connection.send_bytes(to_bytes(task))
                inbox.put(_listen(connection))
        except AuthenticationError:
            inbox.put("its worker has another key")
        except (FileNotFoundError, ConnectionRefusedError):
            inbox.put("its worker is not there")
        except (EOFError, OSError):
            inbox.put("its worker died")
        except TridentError as fault:
            inbox.put(str(fault))

    Thread(target=talk, daemon=True).start()
    try:
        found = inbox.get(timeout=timeout)
    except Empty:
        raise TridentError(f"its worker had not answered after {timeout:g} s") from None
    if isinstance(found, str):
        raise TridentError(found)
    return found


def _connect(socket: str, key: bytes) -> Connection:
    until = monotonic() + START
    while True:
        try:
            return Client(socket, "AF_UNIX", authkey=key)
        except (FileNotFoundError, ConnectionRefusedError):
            if monotonic() > until:
                raise
            sleep(POLL)


def _listen(connection: Connection) -> Update:
    """What the worker says to its task. Raises :class:`TridentError` with its sentence if that is no answer, and
    EOFError or OSError when it dies."""
    answers: list[bytes] = []
    while (octets := connection.recv_bytes())[:1] != END:
        if octets[:1] == FAULT:
            raise TridentError(octets[1:].decode(errors="replace"))
        if octets[:1] == ANSWER:
            answers.append(octets[1:])
    if len(answers) != 1:
        raise TridentError("it answered twice" if answers else "it gave no answer")
    return from_bytes(answers[0])


@app.query()
def query(message: Message, context: Context) -> Message:
    """Say which worker this node has."""
    return Message(worker_record(int(context.node_config["worker"])), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Do a round's task."""
    node = context.node_config
    try:
        key = Path(str(node["key"])).read_bytes()
        answer = ask(str(node["socket"]), key, from_record(message.content), message.metadata.ttl)
        return Message(to_record(answer), reply_to=message)
    except OSError as fault:
        return Message(fault_record(f"the key of its worker cannot be read: {fault.strerror}"), reply_to=message)
    except TridentError as fault:
        return Message(fault_record(str(fault)), reply_to=message)
