"""Packets: their kinds, the fields of their first flit, and how items travel in their other flits."""

from enum import IntEnum

from amaranth.hdl import Cat, Value
from amaranth.lib import data

from trident.hw.isa.mesh import COORDINATE, MeshConfig
from trident.hw.isa.words import WORD, Field, WordLayout

REST_BITS = 5  # of a header's field that counts the items of the last flit


class Mode(IntEnum):
    """Who gets a packet."""

    UNICAST = 0  # the core at (x, y)
    MULTICAST = 1  # the cores of group x + 8 * y, whose output ports every router on the way has in its table
    HOST = 2  # the host; (x, y) is the sender
    BROADCAST = 3  # every core; only the host sends it


class Packet(IntEnum):
    """What a packet is, after the route in its first flit."""

    WRITE = 0  # elements of `space` from `address`
    READ = 1  # one flit: the number of elements that are asked for; the answer is DATA packets
    START = 2  # one flit: the number of samples; without it, only the tokens are set to their first counts
    SPIKES = 3  # spike words from `address`, as many in a flit as fit; `rest` of them in the last flit
    ROWS = 4  # rows for a queue of rows, as many in a flit as fit; `rest` of them in the last flit
    TOKEN = 5  # gives a token; its value is the sample's label, or the faults that the host tile collects
    CREDIT = 6  # a packet of rows has been taken
    ANSWER = 7  # core -> host: elements that were read (kind 0), or one flit of status at the program's end (kind 1)


class Rows(IntEnum):
    """The two queues of rows that a core has for others."""

    ERRORS = 0  # for the neuron-gradient unit
    PARTIALS = 1  # partial sums that backward or reduce adds to


def header(name: str, *fields: Field) -> WordLayout:
    """The first flit of a packet: who gets it, what it is, and ``fields``."""
    return WordLayout(name, [[*ROUTE, Field("packet", 3, "what the packet is, see Packet"), *fields]])


ROUTE = (
    Field("mode", 2, "who gets the packet, see Mode"),
    Field("x", 3, "column of the core, or the low bits of the group's number, or the sender's column"),
    Field("y", 3, "row of the core, or the high bits of the group's number, or the sender's row"),
)
"""The fields that routers read: the lowest bits of a packet's first flit."""

HEADER = header("header", Field("space", 4, "which memory, see Space"), Field("address", 17, "first element"))
PUT = header("put", Field("rest", 5, "words in the last flit, less one"), Field("address", 16, "first spike word"))
ROWS = header(
    "rows",
    Field("rest", 5, "rows in the last flit, less one"),
    Field("channel", 1, "which queue, see Rows"),
)
CREDIT = header("credit", Field("more", 5, "credits beside the first; of small cores"))
TOKEN = header("token", Field("token", 5, "which, see Token"), Field("value", 16, "label or faults"))
ANSWER = header("answer", Field("kind", 1, "0: elements, 1: status"))


class Command(IntEnum):
    """What the host asks of the host tile itself: packets of one flit with mode HOST, `value` in `address`."""

    FREE = 0  # the core at (x, y) has room for `value` samples
    WAIT = 1  # wait until the core at (x, y) has room for a sample, and take that room
    VOTERS = 2  # so many cores give the token GO before it is given to all
    LIMIT = 3  # a WAIT gives up after `value` * 1024 cycles: samples are dropped until the next LIMIT


COMMAND = header("command", Field("value", 16, "see Command"))

ROUTE_LAYOUT = WordLayout("route", [list(ROUTE)])


def position(mesh: MeshConfig, flit: Value) -> tuple[Value, Value]:
    """Column and row in a packet's first flit. On meshes of more than eight columns or rows, the column's higher bits
    are above the header's 32, and the row's above those."""
    head, far = ROUTE_LAYOUT.shape()(flit[:WORD]), mesh.far_bits
    if not far:
        return head.x, head.y
    high = flit[WORD : WORD + 2 * far]
    return Cat(head.x, high[:far]), Cat(head.y, high[far:])


def far_position(mesh: MeshConfig, x: int, y: int) -> int:
    """What a packet's first flit has of a column and a row above its 32 bits."""
    return (x >> COORDINATE | (y >> COORDINATE) << mesh.far_bits) << WORD


class Packing:
    """How items of ``bits`` bits travel in the flits of ``mesh``.

    per_flit: items of one flit, a power of two; pieces: flits of one item; one of them is 1.
    per_packet: items of the longest packet.
    """

    def __init__(self, mesh: MeshConfig, bits: int):
        self.mesh, self.bits = mesh, bits
        fit = min(mesh.flit // bits, 1 << REST_BITS)
        self.per_flit = 1 << (fit.bit_length() - 1) if fit else 1
        self.pieces = -(-bits // mesh.flit)
        self.per_packet = (mesh.packet - 1) // self.pieces * self.per_flit

    def item_layout(self) -> data.StructLayout:
        """An item and whether it is its packet's last."""
        return data.StructLayout({"item": self.bits, "last": 1})
