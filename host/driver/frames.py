"""Frames as bytes, and back; what is in them is declared in hw/isa/frames.py."""

from dataclasses import dataclass
from struct import Struct
from zlib import crc32

from trident.hw.isa.frames import CHECK_BYTES, ESCAPE, FLAG, FLIP, FRAME, Kind

_WORDS = Struct(f"<{FRAME.words}I")
_CHECK = Struct("<I")
_FLAG, _ESCAPE = bytes([FLAG]), bytes([ESCAPE])


@dataclass(frozen=True)
class Frame:
    """A frame: the fields of :data:`FRAME`, and the payload."""

    kind: int = Kind.DATA
    again: int = 0
    turn: int = 0
    busy: int = 0
    moving: int = 0
    fault: int = 0
    session: int = 0
    sequence: int = 0
    received: int = 0
    taken: int = 0
    payload: bytes = b""

    def encode(self) -> bytes:
        """The bytes for the line, with a FLAG on either side.

        Raises :class:`TridentError` for a field that its bits cannot hold.
        """
        fields = {name: value for name, value in vars(self).items() if name != "payload"}
        body = _WORDS.pack(*FRAME.pack(**fields)) + self.payload
        body += _CHECK.pack(crc32(body))
        for special in (ESCAPE, FLAG):  # first the escape itself
            body = body.replace(bytes([special]), bytes([ESCAPE, special ^ FLIP]))
        return _FLAG + body + _FLAG


class Decoder:
    """Frames from bytes that come in pieces; after any garbage it goes on with the next frame."""

    def __init__(self):
        self._rest = b""

    def feed(self, octets: bytes) -> list[Frame | None]:
        """The frames that are complete now; None stands for something that was none."""
        *bodies, self._rest = (self._rest + octets).split(_FLAG)
        return [decode(body) for body in bodies if body]


def decode(body: bytes) -> Frame | None:
    """The frame whose bytes between its flags these are; None if its checksum is wrong or it is too short."""
    first, *pieces = body.split(_ESCAPE)
    if any(not piece for piece in pieces):
        return None
    body = first + b"".join(bytes([piece[0] ^ FLIP]) + piece[1:] for piece in pieces)
    end = len(body) - CHECK_BYTES
    if end < _WORDS.size or crc32(body[:end]) != _CHECK.unpack(body[end:])[0]:
        return None
    return Frame(**FRAME.unpack(list(_WORDS.unpack_from(body))), payload=body[_WORDS.size : end])
