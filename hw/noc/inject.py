"""Packets that a core sends: several sources, one link."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.noc.config import MeshConfig
from hw.noc.flits import ROUTE_LAYOUT, flit_layout, link_signature
from hw.skeleton.onehot import lowest_bit


def channel_of(mesh: MeshConfig, x: int, y: int) -> int:
    """The virtual channel of packets to (x, y): the same for all of them, so that they stay in order."""
    return (x + y) % mesh.channels


class Injector(wiring.Component):
    """Let packets of several sources onto the link, in turn.

    A packet waits until all of it is here, so that a slow source does not hold the network, and until all of it finds a
    place behind the link. Latency 2 cycles for a packet of one flit of the source that was served last, 3 of another;
    one flit per cycle.

    Members
    -------
    i : streams of flits, one per source
    o : link to the router
    """

    def __init__(self, mesh: MeshConfig, sources: int):
        self.mesh, self.sources = mesh, sources
        super().__init__({
            "i": In(stream.Signature(flit_layout(mesh))).array(sources),
            "o": Out(link_signature(mesh)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        mesh, sources = self.mesh, self.sources
        shape = flit_layout(mesh)
        depth = max(16, 2 * mesh.packet)
        m.submodules.places = places = fifo.SyncFIFO(width=shape.size, depth=depth)

        # Round robin among the sources, packet by packet; who has had the last turn keeps it until another one asks
        asking, after, chosen = Signal(sources), Signal(sources), Signal(sources)
        owner, recent = Signal(sources, init=1), Signal(sources)  # recent: sources up to the owner
        inside = Signal()  # a packet is under way
        flit = Signal(shape)
        m.d.comb += [
            asking.eq(Cat(source.valid for source in self.i) & ~owner),
            after.eq(asking & ~recent),
            chosen.eq(lowest_bit(Mux(after.any(), after, asking))),
            places.w_data.eq(flit),
            places.w_en.eq(Cat(source.valid & owner[n] for n, source in enumerate(self.i)).any()),
        ]
        offered = (source.payload.as_value() & owner[n].replicate(shape.size) for n, source in enumerate(self.i))
        m.d.comb += flit.eq(reduce(or_, offered))
        m.d.comb += [source.ready.eq(places.w_rdy & owner[n]) for n, source in enumerate(self.i)]
        entering = places.w_en & places.w_rdy
        with m.If(entering):
            m.d.sync += inside.eq(~flit.last)
        with m.If(asking.any() & ((entering & flit.last) | ~(inside | places.w_en))):
            m.d.sync += [owner.eq(chosen), recent.eq(Cat(chosen[n:].any() for n in range(sources)))]

        # Onto the link
        head = Signal(shape)
        begun = Signal()
        whole = Signal(range(depth + 1))  # packets that are here to their end
        route = ROUTE_LAYOUT.shape()(head.data[:32])
        channel = Signal(len(self.o.channel))
        kept = Signal(len(self.o.channel))
        free = [Signal(range(mesh.buffers + 1), init=mesh.buffers, name=f"free{n}") for n in range(mesh.channels)]
        choice = Array(channel_of(mesh, place & 7, place >> 3) for place in range(64))
        enough = Signal()
        send = Signal()
        places_free = Array(free)[channel]
        m.d.comb += [
            head.eq(places.r_data),
            enough.eq(Mux(head.last, places_free.any(), places_free >= mesh.packet)),
            send.eq(places.r_rdy & (begun | whole.any() & enough)),
            places.r_en.eq(send),
        ]
        m.d.comb += channel.eq(Mux(begun, kept, choice[route.x | route.y << 3] if mesh.channels > 1 else 0))
        leaving = send & head.last
        m.d.sync += [
            self.o.valid.eq(send),
            whole.eq(whole + (entering & flit.last) - leaving),
        ]
        with m.If(send):
            m.d.sync += [self.o.flit.eq(head), self.o.channel.eq(channel), kept.eq(channel), begun.eq(~head.last)]
        for n, count in enumerate(free):
            m.d.sync += count.eq(count + self.o.credit[n] - (send & (channel == n)))
        return m
