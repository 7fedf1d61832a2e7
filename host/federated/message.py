"""What server and workers send each other: a header of plain values, arrays of weights, and a checksum of both."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import get_origin

import numpy as np

from trident.hw.errors import TridentError
from trident.snn.network.network import Tensors

_LENGTH = 4  # bytes that say how long the header is
_DTYPES = ("uint16", "uint32")
_LARGEST = 1 << 28  # values of one message


@dataclass(frozen=True)
class Task:
    """What a worker is to do: train in ``round`` (from 1) from ``weights``, beginning with this loss ``scale``.

    run: digest of everything that decides the result, see :attr:`FederatedSpec.digest`.
    """

    run: str
    round: int
    worker: int
    scale: float
    weights: Tensors = field(compare=False)


@dataclass(frozen=True)
class Update:
    """What came of a :class:`Task`: weights and loss scale after it; samples that the worker has; minibatches it has
    skipped for overflow; mean loss and accuracy (within 0 to 1) of its minibatches; counters of its chip, summed over
    the cores; seconds that it took."""

    run: str
    round: int
    worker: int
    scale: float
    samples: int
    skipped: int
    loss: float
    accuracy: float
    seconds: float
    counters: dict[str, int]
    weights: Tensors = field(compare=False)


_KINDS = {"task": Task, "update": Update}


def to_parts(message: Task | Update) -> tuple[str, list[np.ndarray]]:
    """A message as header and arrays, one for each of its weights by name."""
    arrays = [np.ascontiguousarray(values) for values in message.weights.values()]
    values = {f.name: getattr(message, f.name) for f in fields(message) if f.name != "weights"}
    header = {
        "kind": type(message).__name__.lower(),
        "values": values,
        "arrays": [[name, str(array.dtype), list(array.shape)] for name, array in zip(message.weights, arrays)],
    }
    header["checksum"] = _checksum(header, arrays)
    return json.dumps(header), arrays


def from_parts(header: str, arrays: list[np.ndarray]) -> Task | Update:
    """What :func:`to_parts` made. Raises :class:`TridentError` when it is anything else or has been changed."""
    try:
        words = json.loads(header)
        kind, values, shapes = _KINDS[words["kind"]], words["values"], words["arrays"]
        checksum = words.pop("checksum")
    except (ValueError, KeyError, TypeError):
        raise TridentError("the message has no header that can be read") from None
    if checksum != _checksum(words, arrays):
        raise TridentError("the message's checksum is wrong: it was damaged on its way")
    names = [shape[0] for shape in shapes]
    if len(set(names)) < len(names) or shapes != [
        [name, str(array.dtype), list(array.shape)] for name, array in zip(names, arrays, strict=False)
    ] or len(names) != len(arrays):
        raise TridentError("the message's arrays are not what its header says")
    expected = {f.name: f.type for f in fields(kind) if f.name != "weights"}
    if not isinstance(values, dict) or set(values) != set(expected):
        raise TridentError("the message's header has other values than it should")
    for name, type_ in expected.items():
        if type(values[name]) is not (get_origin(type_) or type_) or not isfinite(_number(values[name])):
            raise TridentError(f"the message's {name} is {values[name]!r}")
    return kind(**values, weights=dict(zip(names, arrays, strict=True)))


def to_bytes(message: Task | Update) -> bytes:
    """A message as bytes: length of the header (4 bytes, little endian), header, arrays (little endian)."""
    header, arrays = to_parts(message)
    head = header.encode()
    return b"".join([len(head).to_bytes(_LENGTH, "little"), head, *(_octets(array) for array in arrays)])


def from_bytes(octets: bytes) -> Task | Update:
    """What :func:`to_bytes` made. Raises :class:`TridentError` when it is anything else or has been changed."""
    size = int.from_bytes(octets[:_LENGTH], "little")
    head, rest = octets[_LENGTH : _LENGTH + size], octets[_LENGTH + size :]
    arrays = []
    try:
        for _, dtype, shape in json.loads(head)["arrays"]:
            if dtype not in _DTYPES or not all(isinstance(n, int) and 0 < n <= _LARGEST for n in shape):
                raise ValueError
            kind = np.dtype(dtype).newbyteorder("<")
            count = int(np.prod(shape, dtype=object))
            if count * kind.itemsize > len(rest):
                raise ValueError
            arrays.append(np.frombuffer(rest, kind, count).reshape(shape).astype(dtype))
            rest = rest[count * kind.itemsize :]
        text = head.decode()
    except (ValueError, KeyError, TypeError):
        raise TridentError("the message is not whole: its header and its arrays do not fit") from None
    if rest:
        raise TridentError("the message has bytes behind its arrays")
    return from_parts(text, arrays)


def describe(message: Task | Update) -> dict:
    """A message without its weights and what it belongs to, as plain values."""
    return {name: value for name, value in asdict(message).items() if name not in ("weights", "run", "round", "worker")}


def _number(value) -> float:
    return value if isinstance(value, float) else 0.0


def _checksum(header: dict, arrays: list[np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(header).encode())
    for array in arrays:
        digest.update(_octets(array))
    return digest.hexdigest()


def _octets(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
