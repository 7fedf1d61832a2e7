"""Counters that cost one lookup table each: they need not count in order, only come round."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.mesh import MeshConfig

# Bits of a shift register of each length whose sum goes round through all values but 0: primitive polynomials
_TAPS = {2: (1, 0), 3: (2, 1), 4: (3, 2), 5: (4, 2), 6: (5, 4), 7: (6, 5)}


def following(place: Value) -> Value:
    """The value after ``place`` in a ring of all its values: a shift register that also passes through 0.

    place: 1 to 7 bits.
    """
    size = len(place)
    if size == 1:
        return ~place
    high, low = _TAPS[size]
    return Cat(place[high] ^ place[low] ^ ~place[: size - 1].any(), place[: size - 1])


def ring(size: int) -> list[int]:
    """The values of a ring of that many bits, from 0, in the order of :func:`following`."""
    values = [0]
    for _ in range((1 << size) - 1):
        value = values[-1]
        bit = 1 - value if size == 1 else sum(value >> tap for tap in _TAPS[size]) + (not value % (1 << size - 1))
        values.append((value << 1 | bit & 1) % (1 << size))
    return values


class Room(wiring.Component):
    """Whether the longest packet finds a place behind a link's channel.

    Two rings count the flits that were sent and the places that were freed, the latter ahead by what may be full; so
    they meet when there is room for just one such packet. Whether there is more or less is known from the side on
    which they parted.

    Members
    -------
    spent, freed : In(1), pulses: a flit was sent, its place is free again
    o : Out(1), there is room
    """

    def __init__(self, mesh: MeshConfig):
        self.mesh = mesh
        super().__init__({"spent": In(1), "freed": In(1), "o": Out(1)})
        rest = mesh.link_places - mesh.link_packet  # places that may be full
        size = max(rest, mesh.link_packet).bit_length()
        self.sent, self.may_send = Signal(size), Signal(size, init=ring(size)[rest])

    def elaborate(self, platform):
        m = Module()
        sent, may_send = self.sent, self.may_send
        just, more = Signal(), Signal(init=self.mesh.buffers > self.mesh.packet)
        m.d.comb += [just.eq(sent == may_send), self.o.eq(just | more)]
        with m.If(self.spent):
            m.d.sync += sent.eq(following(sent))
        with m.If(self.freed):
            m.d.sync += may_send.eq(following(may_send))
        with m.If(just):
            m.d.sync += more.eq(self.freed)
        return m
