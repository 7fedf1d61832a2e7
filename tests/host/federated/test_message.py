"""Messages come back as they were, and nothing else is taken for one."""

import json
import struct

import numpy as np
import pytest

from tests.host.federated.case import same
from trident.host.federated.message import Task, Update, describe, from_bytes, from_parts, to_bytes, to_parts
from trident.hw.errors import TridentError

WEIGHTS = {
    "linear1.weight": np.arange(6, dtype=np.uint16).reshape(1, 2, 3), "linear1.bias": np.arange(3, dtype=np.uint16),
    "conv2.weight": np.arange(12, dtype=np.uint16).reshape(4, 3, 1), "conv2.bias": np.array([7], np.uint16),
}  # fmt: skip
TASK = Task("0123", 3, 1, 256.0, WEIGHTS)
UPDATE = Update("0123", 3, 1, 128.0, 99, 2, 0.1, 0.25, 1.5, {"cycles": 12}, WEIGHTS)


@pytest.mark.parametrize("message", [TASK, UPDATE])
def test_it_comes_back_as_it_was(message):
    for found in (from_bytes(to_bytes(message)), from_parts(*to_parts(message))):
        assert found == message and same(found.weights, message.weights)
        assert all(values.dtype == np.uint16 for values in found.weights.values())
    assert describe(UPDATE) == {"scale": 128.0, "samples": 99, "skipped": 2, "loss": 0.1, "accuracy": 0.25,
                                "seconds": 1.5, "counters": {"cycles": 12}}  # fmt: skip


def test_any_flipped_bit_and_any_missing_byte_is_found():
    octets = to_bytes(TASK)
    for at in range(len(octets)):
        damaged = bytearray(octets)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(TridentError, match="message"):
            from_bytes(bytes(damaged))
        with pytest.raises(TridentError, match="message"):
            from_bytes(octets[:at])
    with pytest.raises(TridentError, match="bytes behind"):
        from_bytes(octets + b"\0")


def test_huge_shapes_and_foreign_types_are_refused_before_memory_is_taken():
    for dtype, shape in (("uint16", [1 << 27, 1 << 27]), ("uint16", [-1]), ("object", [1]), ("float64", [1])):
        head = json.dumps({"arrays": [["w", dtype, shape]]}).encode()
        with pytest.raises(TridentError, match="not whole"):
            from_bytes(struct.pack("<I", len(head)) + head + b"\0" * 64)


def test_a_header_of_other_values_is_refused():
    header, arrays = to_parts(TASK)
    with pytest.raises(TridentError, match="checksum"):
        from_parts(header.replace("256.0", "512.0"), arrays)
    wrong = Task("0123", "3", 1, 256.0, WEIGHTS)
    with pytest.raises(TridentError, match="round is '3'"):
        from_parts(*to_parts(wrong))
    with pytest.raises(TridentError, match="no header"):
        from_parts("[]", arrays)
