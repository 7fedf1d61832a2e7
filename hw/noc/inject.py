"""Packets that a core sends: several sources, one link."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.mesh import COORDINATE, MeshConfig
from trident.hw.isa.packets import ROUTE_LAYOUT, Mode, position
from trident.hw.isa.words import WORD
from trident.hw.lib.onehot import lowest_bit
from trident.hw.lib.streams import connect
from trident.hw.noc.flits import flit_layout, link_signature, phit_layout


def channel_of(mesh: MeshConfig, x: int, y: int) -> int:
    """The virtual channel of packets to (x, y): the same for all of them, so that they stay in order."""
    return (x + y) % mesh.channels


class Outbox(wiring.Component):
    """Hold packets until all of them is here and all of them finds a place behind the link.

    So a slow source does not hold the network. Latency 2 cycles for a packet of one flit; one phit per cycle.

    Members
    -------
    i : stream of flits, or of phits; spacious : Out(1), the longest packet finds a place
    o : link to the router
    """

    def __init__(self, mesh: MeshConfig, by_phit: bool = False):
        self.mesh, self.by_phit = mesh, by_phit
        super().__init__({
            "i": In(stream.Signature(phit_layout(mesh) if by_phit else flit_layout(mesh))),
            "spacious": Out(1),
            "o": Out(link_signature(mesh)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        mesh = self.mesh
        shape = self.i.payload.shape()
        longest, phits = (mesh.link_packet, 1) if self.by_phit else (mesh.packet, mesh.phits)
        flits = mesh.outbox * (mesh.phits if self.by_phit else 1)
        depth = flits or max(16, longest if self.by_phit else 2 * longest)
        m.submodules.places = places = fifo.SyncFIFO(width=shape.size, depth=depth)
        m.d.comb += [
            places.w_data.eq(self.i.payload),
            places.w_en.eq(self.i.valid),
            self.i.ready.eq(places.w_rdy),
            self.spacious.eq(places.level <= depth - longest),
        ]
        head = Signal(shape)
        begun = Signal()
        whole = Signal(range(depth + 1))  # packets that are here to their end
        route = ROUTE_LAYOUT.shape()(Cat(head.data, Const(0, 32))[:32])
        channel = Signal(len(self.o.channel))
        kept = Signal(len(self.o.channel))
        number = Signal(range(max(phits, 2)))  # of the flit's phit
        free = [Signal(range(mesh.link_places + 1), init=mesh.link_places, name=f"free{n}")
                for n in range(mesh.channels)]  # fmt: skip
        where = route.x | route.y << 3
        choice = Array(channel_of(mesh, place & 7, place >> 3) for place in range(64))
        if mesh.far_bits:
            bits = mesh.position_bits
            where = Cat(position(mesh, head.data))
            choice = Array(channel_of(mesh, place % (1 << bits), place >> bits) for place in range(1 << 2 * bits))
        enough = Signal()
        send = Signal()
        places_free = Array(free)[channel]
        end = number == phits - 1
        m.d.comb += [
            head.eq(places.r_data),
            enough.eq(Mux(head.last, places_free >= phits, places_free >= mesh.link_packet)),
            send.eq(places.r_rdy & (begun | whole.any() & enough)),
            places.r_en.eq(send & end),
        ]
        m.d.comb += channel.eq(Mux(begun, kept, choice[where] if mesh.channels > 1 else 0))
        entering = self.i.valid & self.i.ready & self.i.payload.last
        m.d.sync += [
            self.o.valid.eq(send),
            whole.eq(whole + entering - (send & end & head.last)),
        ]
        with m.If(send):
            m.d.sync += [
                self.o.flit.data.eq(head.data.word_select(number, mesh.link_bits)),
                self.o.flit.last.eq(end & head.last), self.o.channel.eq(channel), kept.eq(channel),
                begun.eq(~(end & head.last)), number.eq(Mux(end, 0, number + 1)),
            ]  # fmt: skip
        for n, count in enumerate(free):
            m.d.sync += count.eq(count + self.o.credit[n] - (send & (channel == n)))
        return m


class Injector(wiring.Component):
    """Let packets of several sources onto the link, in turn.

    Latency that of :class:`Outbox` for a source that was served last, one cycle more for another; one flit per cycle.

    Members
    -------
    i : streams of flits, one per source
    o : link to the router
    x, y : In, if it ``signs``, on meshes whose headers have bits above their 32: the core's position, of which packets
        for the host get those bits
    """

    def __init__(self, mesh: MeshConfig, sources: int, signs: bool = False):
        self.mesh, self.sources, self.signs = mesh, sources, signs and mesh.far_bits > 0
        place = {"x": In(mesh.position_bits), "y": In(mesh.position_bits)} if self.signs else {}
        super().__init__({
            "i": In(stream.Signature(flit_layout(mesh))).array(sources),
            "o": Out(link_signature(mesh)),
            **place,
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        mesh, sources = self.mesh, self.sources
        shape = flit_layout(mesh)
        m.submodules.outbox = outbox = Outbox(mesh)
        wiring.connect(m, outbox.o, wiring.flipped(self.o))

        # Round robin among the sources, packet by packet; who has had the last turn keeps it until another one asks
        asking, after, chosen = Signal(sources), Signal(sources), Signal(sources)
        owner, recent = Signal(sources, init=1), Signal(sources)  # recent: sources up to the owner
        inside = Signal()  # a packet is under way
        flits = stream.Signature(shape).create()
        m.d.comb += [
            asking.eq(Cat(source.valid for source in self.i) & ~owner),
            after.eq(asking & ~recent),
            chosen.eq(lowest_bit(Mux(after.any(), after, asking))),
            flits.valid.eq(Cat(source.valid & owner[n] for n, source in enumerate(self.i)).any()),
        ]
        offered = (source.payload.as_value() & owner[n].replicate(shape.size) for n, source in enumerate(self.i))
        if self.signs:
            flit = Signal(shape)
            m.d.comb += [flit.eq(reduce(or_, offered)), flits.payload.eq(flit)]
            with m.If(~inside & (ROUTE_LAYOUT.shape()(flit.data[:WORD]).mode == Mode.HOST)):
                high = flits.payload.data[WORD : WORD + 2 * mesh.far_bits]
                m.d.comb += high.eq(Cat(self.x[COORDINATE:], self.y[COORDINATE:]))
        else:
            m.d.comb += flits.payload.eq(reduce(or_, offered))
        m.d.comb += [source.ready.eq(flits.ready & owner[n]) for n, source in enumerate(self.i)]
        connect(m, flits, outbox.i)
        entering = flits.valid & flits.ready
        with m.If(entering):
            m.d.sync += inside.eq(~flits.payload.last)
        with m.If(asking.any() & ((entering & flits.payload.last) | ~(inside | flits.valid))):
            m.d.sync += [owner.eq(chosen), recent.eq(Cat(chosen[n:].any() for n in range(sources)))]
        return m
