"""What server and nodes send each other, as Flower's records."""

from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from trident.host.federated.message import Task, Update, from_parts, to_parts
from trident.hw.errors import TridentError


def to_record(message: Task | Update) -> RecordDict:
    """A message as an ArrayRecord ``weights`` and a ConfigRecord ``message`` with its header."""
    header, arrays = to_parts(message)
    return RecordDict({"weights": ArrayRecord(arrays), "message": ConfigRecord({"header": header})})


def from_record(record: RecordDict) -> Task | Update:
    """What :func:`to_record` made. Raises :class:`TridentError` when it is anything else or has been changed."""
    try:
        header, arrays = record["message"]["header"], record["weights"].to_numpy_ndarrays()
    except (KeyError, TypeError, ValueError, AttributeError):
        raise TridentError("what came of Flower is no message of a federated run") from None
    return from_parts(str(header), arrays)


def fault_record(sentence: str) -> RecordDict:
    """A ConfigRecord ``fault`` that says why there is no answer."""
    return RecordDict({"fault": ConfigRecord({"sentence": sentence})})


def fault_of(record: RecordDict) -> str:
    """The sentence of :func:`fault_record`; empty if it is none."""
    return str(_value(record, "fault", "sentence") or "it gives no reason") if "fault" in record else ""


def worker_record(number: int) -> RecordDict:
    """A ConfigRecord ``node`` that says which worker a node has."""
    return RecordDict({"node": ConfigRecord({"worker": number})})


def worker_of(record: RecordDict) -> int | None:
    """The number of :func:`worker_record`; None if it is none."""
    number = _value(record, "node", "worker")
    return number if type(number) is int else None


def _value(record: RecordDict, name: str, field: str):
    found = record.get(name)
    return found.get(field) if isinstance(found, ConfigRecord) else None
