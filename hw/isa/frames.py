"""What chip and host must agree on about the link between them, declared once: frames, records, the page.

A *frame* is what travels over the line at once and is checked as a whole. The payloads of a session's DATA frames are a
stream of bytes in each direction, which is made of *records*. The *page* says who the chip is.
"""

from enum import IntEnum
from zlib import crc32

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.words import Field, WordLayout

VERSION = 1
LINK_MAGIC = 0x54524C4B  # "TRLK"

# Bytes of a frame between two FLAGs, as in RFC 1662: a FLAG or an ESCAPE within is an ESCAPE and the byte ^ FLIP
FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
CHECK_BYTES = 4  # CRC-32 of header and payload (ISO-HDLC, as zlib's), lowest byte first
PAYLOAD = 256  # bytes that a sender puts into a frame at most
BUFFER = 2048  # bytes that each of the chip's two buffers holds, unless the set-up says otherwise
COUNT_BITS = 16  # of the numbers of bytes
BEATS = 32  # heartbeats without progress after which the chip sends again what is not acknowledged


class Kind(IntEnum):
    """What a frame is."""

    DATA = 0  # bytes of the stream, or none: then it only acknowledges
    PAGE = 1  # from the host: asks for the page; from the chip: the page, an answer to a PAGE, RESET or WORKER
    RESET = 2  # begin `session`, unless it has begun: cores and network in their initial state, both buffers empty
    WORKER = 3  # take `received` as the worker's number


FRAME = WordLayout("frame", [
    [Field("kind", 2, "what the frame is, see Kind"),
     Field("again", 1, "a frame before has not come: send again from `received` on"),
     Field("turn", 2, "from the host: how often it has gone back; from the chip: that of the last frame that came"),
     Field("busy", 1, "from the chip: a core runs"),
     Field("moving", 1, "from the chip: something has happened in it since its last frame"),
     Field("fault", 1, "from the chip: its error output is on"),
     Field("session", 8, "number of the session"),
     Field("sequence", 16, "number of the payload's first byte, or of the next byte if there is none")],
    [Field("received", 16, "number of the next byte that is expected; WORKER: the number"),
     Field("taken", 16, "from the chip: bytes that have left its buffer; it takes a buffer more than these")],
])  # fmt: skip

PAGE = WordLayout("page", [
    [Field("magic", 32, "LINK_MAGIC")],
    [Field("version", 8, "VERSION"),
     Field("worker", 8, "number of the worker, 0 after power-up"),
     Field("buffer", 8, "each of the two buffers holds two to this power bytes"),
     Field("beat", 8, "a heartbeat, which is a frame, comes every two to this power cycles")],
    [Field("digest", 32, "CRC-32 of the configuration of cores, mesh and link")],
    [Field("clock", 32, "the chip's clock in Hz")],
])  # fmt: skip


class Record(IntEnum):
    """What a record is; its first byte is a :data:`HEAD`."""

    PACKET = 0  # a packet of `count` + 1 flits, the lowest byte of each first; the only one from the chip
    SETUP = 1  # how samples are made into packets: UPLOAD, then its routes, one byte each
    SPIKES = 2  # `count` + 1 samples, each the payload flits of its SPIKES packets and two bytes of label
    VALUES = 3  # the same, with a byte per input instead of the flits, which an encoder makes into spikes


HEAD = WordLayout("head", [[Field("count", 6, "see Record"), Field("record", 2, "what the record is, see Record")]])

UPLOAD = WordLayout("upload", [
    [Field("packets", 10, "packets of a sample before its last one; they are as long as may be"),
     Field("last", 6, "payload flits of its last packet"),
     Field("rest", 5, "spike words in its last flit, less one"),
     Field("slots", 4, "slots of samples, less one")],
    [Field("base", 16, "first spike word of the first slot"),
     Field("stride", 16, "spike words from one slot to the next")],
    [Field("full", 8, "value of an input that spikes at every timestep; 0 stands for 256"),
     Field("phase", 8, "what each input's sum begins with, below `full`"),
     Field("routes", 8, "routes that follow: of each replica, WAIT for its cores (mode HOST), then where samples go")],
])  # fmt: skip


def link_digest(cfg: CoreConfig, mesh: MeshConfig) -> int:
    """32 bits that tell one chip from another: its cores, its mesh and its link, but not its clock."""
    return crc32(repr((cfg, mesh, VERSION, PAYLOAD)).encode())
