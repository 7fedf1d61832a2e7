"""Packets that come to a core: what each of them does."""

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import ANSWER, HEADER, PUT, ROWS, TOKEN, Mode, Packet, Packing, Rows
from trident.hw.isa.spaces import Space, space_bits
from trident.hw.isa.words import WORD
from trident.hw.lib.fetch import Fetch
from trident.hw.noc.flits import flit_layout, link_signature
from trident.hw.noc.inbox import Inbox
from trident.hw.noc.packing import Unpack

ADDRESS_BITS = 17


class Ejector(wiring.Component):
    """Carry out the packets of a core one after another.

    Every packet is taken without waiting for anything that other cores do, but for READ, whose answer must leave first:
    the network relies on that. Spikes wait for a free cycle of their memory; rows find a place, because their sender
    has asked for it; other memories are for packets only while no engine uses them. One flit per cycle, for narrow
    items one item per cycle; with ``short_paths``, but for a shared engine's small core, two cycles later.

    Members
    -------
    i : link from the router; x, y : In, the core's position
    select : Out, one bit per space that is read or written; write : Out(1); address, wdata : Out; rdata : In, per
        space, one cycle after the address, that of REGISTERS two
    word_address, word_en, word : Out, spikes from other cores; word_ready : In(1), their memory takes them
    rows : streams of rows from other cores, by :class:`Rows`, with the end of their packet
    token, value, token_en : Out, a token
    credit : Out(1), a packet of rows has been taken
    arm, start, samples : Out, for the sequencer; arming : In(1), a start must wait
    halted : In(1), a pulse; status : In(32), told to the host
    answer : stream of flits to the host
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.cfg, self.mesh = cfg, mesh
        self.bits = space_bits(cfg)
        self.element_bits = mesh.flit * max(-(-bits // mesh.flit) for bits in self.bits.values())
        self.spikes, self.packed_rows = Packing(mesh, cfg.spike_bits), Packing(mesh, cfg.row_bits)
        super().__init__({
            "i": In(link_signature(mesh)),
            "x": In(mesh.position_bits),
            "y": In(mesh.position_bits),
            "select": Out(len(self.bits)),
            "write": Out(1),
            "address": Out(ADDRESS_BITS),
            "wdata": Out(self.element_bits),
            "rdata": In(self.element_bits).array(len(self.bits)),
            "word_address": Out(cfg.address_bits),
            "word_en": Out(1),
            "word": Out(cfg.spike_bits),
            "word_ready": In(1),
            "rows": Out(stream.Signature(self.packed_rows.item_layout())).array(len(Rows)),
            "token": Out(5),
            "value": Out(16),
            "token_en": Out(1),
            "credit": Out(1),
            "arm": Out(1),
            "arming": In(1),
            "start": Out(1),
            "samples": Out(WORD),
            "halted": In(1),
            "status": In(WORD),
            "answer": Out(stream.Signature(flit_layout(mesh))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        mesh = self.mesh
        m.submodules.inbox = inbox = Inbox(mesh)
        wiring.connect(m, wiring.flipped(self.i), inbox.i)
        flits = inbox.o
        late = self.cfg.short_paths
        if late:  # what a packet does begins at a register
            m.submodules.front = front = Fetch(flit_layout(mesh))
            wiring.connect(m, inbox.o, front.i)
            flits = front.o
        flit, valid, take = flits.payload, flits.valid, flits.ready

        header = Signal(WORD)
        packet = HEADER.shape()(flit.data[:WORD])
        current = HEADER.shape()(header)
        flits = [-(-self.bits[space] // mesh.flit) for space in self.bits]
        pieces, piece = Const(1), Const(0)  # flits of an element; those that have come
        counted = []  # how ``piece`` goes on
        if max(flits) > 1:
            pieces, piece = Array(Const(count, 8) for count in flits)[current.space], Signal(8)
            counted = [piece.eq(piece + 1)]
        cleared = [piece.eq(0)] if counted else []
        left = Signal(16)
        buffer = Signal(self.element_bits)
        chosen, select = Signal(len(self.bits)), Signal(len(self.bits))
        address, write = Signal(ADDRESS_BITS), Signal()
        placed = Signal(self.element_bits)
        incoming = TOKEN.shape()(flit.data[:WORD])
        m.d.comb += [
            chosen.eq(1 << current.space),
            placed.eq(buffer),
            self.samples.eq(flit.data),
            self.token.eq(incoming.token),
            self.value.eq(incoming.value),
        ]
        answer = self.answer
        if late:
            m.submodules.answers = answers = Fetch(flit_layout(mesh))
            wiring.connect(m, answers.o, wiring.flipped(self.answer))
            answer = answers.i
        # The memories lie all over a core: with short paths, they are reached a cycle later, and so is what they give
        found = Signal(self.element_bits)
        m.d["sync" if late else "comb"] += [
            self.select.eq(select), self.write.eq(write), self.address.eq(address), self.wdata.eq(placed),
            found.eq(Array(self.rdata)[current.space]),
        ]  # fmt: skip
        reach = "REACH" if late else "TAKE"
        for n in range(self.element_bits // mesh.flit):  # a written element is built with its first flit lowest
            with m.If(piece == n):
                m.d.comb += placed[n * mesh.flit : (n + 1) * mesh.flit].eq(flit.data)

        m.submodules.unpack_spikes = spikes = Unpack(self.spikes)
        m.submodules.unpack_rows = rows = Unpack(self.packed_rows)
        channel = ROWS.shape()(header).channel
        word_address = Signal(self.cfg.address_bits)
        m.d.comb += [
            spikes.i.payload.eq(flit),
            spikes.rest.eq(PUT.shape()(header).rest),
            spikes.o.ready.eq(self.word_ready),
            self.word.eq(spikes.o.payload.item),
            self.word_en.eq(spikes.o.valid),
            self.word_address.eq(word_address),
            rows.i.payload.eq(flit),
            rows.rest.eq(ROWS.shape()(header).rest),
            rows.o.ready.eq(Array(queue.ready for queue in self.rows)[channel]),
        ]
        for n, queue in enumerate(self.rows):
            m.d.comb += [queue.payload.eq(rows.o.payload), queue.valid.eq(rows.o.valid & (channel == n))]

        halted, status_sent = Signal(), Signal()
        with m.If(self.halted):
            m.d.sync += halted.eq(1)
        in_packet = Signal(range(mesh.packet))
        notice = Signal(ANSWER.shape())
        m.d.comb += [
            notice.mode.eq(Mode.HOST),
            notice.x.eq(self.x),  # higher bits, if there are some, come from the injector
            notice.y.eq(self.y),
            notice.packet.eq(Packet.ANSWER),
        ]
        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += take.eq(~halted)
                with m.If(halted):
                    m.next = "HALTED"
                with m.Elif(valid):
                    m.d.sync += [header.eq(flit.data), address.eq(packet.address), *cleared]
                    m.d.sync += word_address.eq(PUT.shape()(flit.data[:WORD]).address)
                    with m.Switch(packet.packet):
                        with m.Case(Packet.WRITE):
                            m.next = "WRITE"
                        with m.Case(Packet.READ):
                            m.next = "COUNT"
                        with m.Case(Packet.START):
                            m.d.comb += self.arm.eq(flit.last)
                            with m.If(~flit.last):
                                m.next = "START"
                        with m.Case(Packet.SPIKES):
                            m.next = "SPIKES"
                        with m.Case(Packet.ROWS):
                            m.next = "ROWS"
                        with m.Case(Packet.TOKEN):
                            m.d.comb += self.token_en.eq(1)
                        with m.Case(Packet.CREDIT):
                            m.d.comb += self.credit.eq(1)
            with m.State("START"):
                m.d.comb += [take.eq(~self.arming), self.start.eq(valid & take)]
                with m.If(self.start):
                    m.next = "HEADER"
            with m.State("SPIKES"):
                end = Signal(name="spikes_end")  # all flits of the packet are taken
                m.d.comb += [spikes.i.valid.eq(valid & ~end), take.eq(spikes.i.ready & ~end)]
                with m.If(valid & take & flit.last):
                    m.d.sync += end.eq(1)
                with m.If(spikes.o.valid & spikes.o.ready):
                    m.d.sync += word_address.eq(word_address + 1)
                    with m.If(spikes.o.payload.last):
                        m.d.sync += end.eq(0)
                        m.next = "HEADER"
            with m.State("ROWS"):
                end = Signal(name="rows_end")
                m.d.comb += [rows.i.valid.eq(valid & ~end), take.eq(rows.i.ready & ~end)]
                with m.If(valid & take & flit.last):
                    m.d.sync += end.eq(1)
                with m.If(rows.o.valid & rows.o.ready & rows.o.payload.last):
                    m.d.sync += end.eq(0)
                    m.next = "HEADER"
            with m.State("WRITE"):
                m.d.comb += take.eq(1)
                with m.If(valid):
                    m.d.sync += [buffer.eq(placed), *counted]
                    with m.If(piece + 1 == pieces):
                        m.d.comb += [select.eq(chosen), write.eq(1)]
                        m.d.sync += [*cleared, address.eq(address + 1)]
                    with m.If(flit.last):
                        m.next = "HEADER"
            with m.State("COUNT"):
                m.d.comb += take.eq(1)
                m.d.sync += [left.eq(flit.data), in_packet.eq(0)]
                with m.If(valid):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += select.eq(chosen)
                m.next = reach
                with m.If(current.space == Space.REGISTERS):
                    m.next = "SUM"
            with m.State("SUM"):
                m.next = reach
            if late:
                with m.State("REACH"):
                    m.next = "CHOOSE"
                with m.State("CHOOSE"):
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [
                    buffer.eq(found),
                    left.eq(left - 1),
                    address.eq(address + 1),
                ]
                m.next = "ANSWER"
            with m.State("ANSWER"):
                opening = in_packet == 0
                end = (piece + 1 == pieces) & (left == 0)
                m.d.comb += [
                    answer.valid.eq(1),
                    answer.payload.data.eq(buffer[: mesh.flit]),
                    answer.payload.last.eq((in_packet == mesh.packet - 1) | end),
                ]
                with m.If(opening):
                    m.d.comb += [answer.payload.data.eq(notice), answer.payload.last.eq(0)]
                with m.If(answer.ready):
                    m.d.sync += in_packet.eq(in_packet + 1)
                    with m.If(~opening):
                        m.d.sync += [buffer.eq(buffer >> mesh.flit), *counted]
                        with m.If(answer.payload.last):
                            m.d.sync += in_packet.eq(0)
                        with m.If(piece + 1 == pieces):
                            m.d.sync += cleared
                            m.next = "READ"
                            with m.If(left == 0):
                                m.next = "HEADER"
            with m.State("HALTED"):
                m.d.comb += [
                    answer.valid.eq(1),
                    answer.payload.data.eq(notice),
                    answer.payload.last.eq(status_sent),
                    notice.kind.eq(1),
                ]
                with m.If(status_sent):
                    m.d.comb += answer.payload.data.eq(self.status)
                with m.If(answer.ready):
                    m.d.sync += status_sent.eq(~status_sent)
                    with m.If(status_sent):
                        m.d.sync += halted.eq(0)
                        m.next = "HEADER"
        return m
