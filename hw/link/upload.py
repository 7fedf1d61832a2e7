"""Records from the host into packets: packets as they are, and samples, of which only the spikes were sent."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.frames import HEAD, UPLOAD, Record
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import COMMAND, PUT, ROUTE_LAYOUT, TOKEN, Command, Mode, Packet, Packing
from trident.hw.isa.tokens import Token
from trident.hw.link.encoder import Encoder
from trident.hw.noc.flits import flit_layout

ROUTES = 256  # places for routes


class Upload(wiring.Component):
    """Make packets of records, see :class:`Record`.

    For every sample of a SPIKES or VALUES record come: a WAIT for each core whose route stands before that of the
    replica, SPIKES packets with the sample, cut and addressed as the host would, and the token INPUT_READY0 with its
    label. Samples go to the replicas in turn; when all have had one, the next slot follows. Two cycles per flit and one
    per byte at least.

    Members
    -------
    i : stream of bytes; o : stream of flits, from registers
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.cfg, self.mesh = cfg, mesh
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(flit_layout(mesh)))})

    def elaborate(self, platform):
        m = Module()
        packing = Packing(self.mesh, self.cfg.spike_bits)
        longest = packing.per_packet // packing.per_flit * packing.pieces  # payload flits of a packet
        flit_bytes, setup_bytes = self.mesh.flit // 8, 4 * UPLOAD.words
        m.submodules.encoder = encoder = Encoder(self.cfg, self.mesh)
        m.submodules.routes = routes = memory.Memory(shape=8, depth=ROUTES, init=[])
        write, read = routes.write_port(), routes.read_port()

        head, words = HEAD.shape()(Cat(self.i.payload, Const(0, 24))), Signal(32 * UPLOAD.words)
        setup = UPLOAD.shape()(words)
        record, count = Signal(2), Signal(6)  # of the record under way: what it is; packets' flits or samples, less one
        at = Signal(8)  # next route
        slot, slots_left = Signal(16), Signal(4)  # first word of the slot; slots before the first one's turn
        route, address = Signal(8), Signal(16)
        packets, flits = Signal(10), Signal(6)  # of the sample, before its last packet; of the packet
        final, ends, served = Signal(), Signal(), Signal()  # served: every route has had its turn
        m.d.comb += [
            write.addr.eq(at), write.data.eq(self.i.payload), read.addr.eq(at),
            encoder.full.eq(setup.full), encoder.phase.eq(setup.phase), final.eq(packets == 0), ends.eq(flits == 1),
            served.eq(at == setup.routes),
        ]  # fmt: skip

        # Bytes come together in a word, the first one lowest
        word, got, joined = Signal(self.mesh.flit), Signal(range(max(flit_bytes, setup_bytes))), Signal(self.mesh.flit)
        byte, valid, take = Signal(8), Signal(), Signal()
        m.d.comb += [byte.eq(self.i.payload), valid.eq(self.i.valid), joined.eq(Cat(word[8:], byte))]
        with m.If(take & valid):
            m.d.sync += [word.eq(joined), got.eq(got + 1)]
        full = Signal()
        m.d.comb += full.eq(take & valid & (got == flit_bytes - 1))
        with m.If(full):
            m.d.sync += got.eq(0)

        free, push, last = Signal(), Signal(), Signal()
        flit = Signal(self.mesh.flit)
        m.d.comb += [free.eq(~self.o.valid), flit.eq(joined)]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(push):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.data.eq(flit), self.o.payload.last.eq(last)]

        with m.FSM():
            with m.State("HEAD"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [record.eq(head.record), count.eq(head.count), got.eq(0)]
                with m.If(self.i.valid):
                    with m.Switch(head.record):
                        with m.Case(Record.PACKET):
                            m.next = "PACKET"
                        with m.Case(Record.SETUP):
                            m.next = "SETUP"
                        with m.Default():
                            m.next = "FETCH"
            with m.State("PACKET"):
                m.d.comb += [take.eq(free), self.i.ready.eq(free), push.eq(full), last.eq(count == 0)]
                with m.If(full):
                    m.d.sync += count.eq(count - 1)
                    with m.If(last):
                        m.next = "HEAD"
            with m.State("SETUP"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += at.eq(0)
                with m.If(self.i.valid):
                    m.d.sync += [words.eq(Cat(words[8:], self.i.payload)), got.eq(got + 1)]
                    with m.If(got == setup_bytes - 1):
                        m.next = "ROUTES"
            with m.State("ROUTES"):
                m.d.sync += [slot.eq(setup.base), slots_left.eq(setup.slots)]
                with m.If(served):
                    m.d.sync += at.eq(0)
                    m.next = "HEAD"
                with m.Else():
                    m.d.comb += [self.i.ready.eq(1), write.en.eq(self.i.valid)]
                    m.d.sync += at.eq(at + self.i.valid)
            with m.State("FETCH"):
                m.next = "ROUTE"
            with m.State("ROUTE"):
                m.d.sync += [route.eq(read.data), packets.eq(setup.packets), address.eq(slot), at.eq(at + 1)]
                m.next = "PUT"
                with m.If(ROUTE_LAYOUT.shape()(Cat(read.data, Const(0, 24))).mode == Mode.HOST):
                    m.next = "WAIT"
            with m.State("WAIT"):
                command = Signal(COMMAND.shape())
                m.d.comb += [
                    command.as_value()[:8].eq(route), command.packet.eq(Command.WAIT), flit.eq(command), last.eq(1),
                    push.eq(free),
                ]  # fmt: skip
                with m.If(free):
                    m.next = "FETCH"
            with m.State("PUT"):
                put = Signal(PUT.shape())
                m.d.comb += [
                    put.as_value()[:8].eq(route), put.packet.eq(Packet.SPIKES), put.address.eq(address),
                    put.rest.eq(Mux(final, setup.rest, packing.per_flit - 1)), flit.eq(put),
                ]  # fmt: skip
                m.d.sync += flits.eq(Mux(final, setup.last, longest))
                with m.If(free):
                    m.d.comb += push.eq(1)
                    m.d.sync += address.eq(address + packing.per_packet)
                    m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += [take.eq(free), push.eq(full), last.eq(ends)]
                with m.If(record == Record.VALUES):
                    m.d.comb += [
                        byte.eq(encoder.o.payload), valid.eq(encoder.o.valid), encoder.o.ready.eq(free),
                        encoder.i.payload.eq(self.i.payload), encoder.i.valid.eq(self.i.valid),
                        self.i.ready.eq(encoder.i.ready),
                    ]  # fmt: skip
                with m.Else():
                    m.d.comb += self.i.ready.eq(free)
                with m.If(full):
                    m.d.sync += flits.eq(flits - 1)
                    with m.If(ends):
                        m.d.sync += packets.eq(packets - 1)
                        m.next = "PUT"
                        with m.If(final):
                            m.next = "LABEL"
            with m.State("LABEL"):
                m.d.comb += [take.eq(1), self.i.ready.eq(1)]
                with m.If(self.i.valid & got[0]):
                    m.next = "TOKEN"
            with m.State("TOKEN"):
                token = Signal(TOKEN.shape())
                m.d.comb += [
                    token.as_value()[:8].eq(route), token.packet.eq(Packet.TOKEN), token.token.eq(Token.INPUT_READY0),
                    token.value.eq(word[-16:]), flit.eq(token), last.eq(1),
                ]  # fmt: skip
                m.d.sync += got.eq(0)
                with m.If(free):
                    m.d.comb += push.eq(1)
                    m.d.sync += count.eq(count - 1)
                    with m.If(served):
                        m.d.sync += [at.eq(0), slot.eq(slot + setup.stride), slots_left.eq(slots_left - 1)]
                        with m.If(slots_left == 0):
                            m.d.sync += [slot.eq(setup.base), slots_left.eq(setup.slots)]
                    m.next = "FETCH"
                    with m.If(count == 0):
                        m.next = "HEAD"
        return m
