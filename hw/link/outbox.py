"""Packets of the chip into a buffer, and from there in frames, again until they are acknowledged."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.errors import TridentError
from hw.link.framer import BODY
from hw.link.layouts import BEATS, BUFFER, COUNT_BITS, FRAME, PAGE, PAYLOAD, Kind
from hw.noc.config import MeshConfig
from hw.noc.flits import flit_layout


class Outbox(wiring.Component):
    """Keep packets as records until the host has acknowledged them (go-back-N), and answer what it asks.

    A packet's bytes are written behind a free place, which gets the number of its flits when its last one is there;
    only then the record counts.

    Members
    -------
    i : stream of flits, whole packets
    o : stream of the bytes of frames, see :class:`hw.link.framer.Framer`
    status : In, the fields of a DATA frame's header that are not the outbox's own
    begun : Out(1), a pulse: the flags of ``status`` are being sent
    answer : In(1), a pulse: an acknowledgement is wanted; beat : In(1), a pulse: a frame is wanted in any case
    page : In(8 * 4 * PAGE.words), what the page says; page_en : In(1), a pulse: it is wanted; ticket : In(16), with
        ``page_en``: the request's number
    acknowledged : In(16), number of the byte that the host expects; acknowledged_en : In(1), a pulse;
        again : In(1), with it: what follows is to be sent again
    """

    def __init__(self, mesh: MeshConfig):
        self.mesh = mesh
        longest = 1 + mesh.packet * mesh.flit // 8
        if longest > BUFFER:
            raise TridentError(
                f"a packet of {mesh.packet} flits of {mesh.flit} bits takes {longest} bytes, more than the {BUFFER} of "
                f"the link's buffer"
            )
        super().__init__({
            "i": In(stream.Signature(flit_layout(mesh))),
            "o": Out(stream.Signature(BODY)),
            "status": In(FRAME.shape()),
            "begun": Out(1),
            "answer": In(1),
            "beat": In(1),
            "page": In(32 * PAGE.words),
            "page_en": In(1),
            "ticket": In(COUNT_BITS),
            "acknowledged": In(COUNT_BITS),
            "acknowledged_en": In(1),
            "again": In(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        place = (BUFFER - 1).bit_length()
        m.submodules.buffer = buffer = memory.Memory(shape=8, depth=BUFFER, init=[])
        write, read = buffer.write_port(), buffer.read_port()
        # Numbers of bytes: acknowledged, next to be sent, end of the last record, next to be written
        first, send, end = (Signal(COUNT_BITS, name=name) for name in ("first", "send", "end"))
        written = Signal(COUNT_BITS, init=1)

        back, beats = Signal(), Signal(range(BEATS))  # go back; heartbeats without progress

        with m.If(self.beat):
            m.d.sync += beats.eq(beats + 1)
            with m.If(beats == BEATS - 1):
                m.d.sync += back.eq(1)

        # Records into the buffer
        bytes_per_flit = self.mesh.flit // 8
        flit, last = Signal(self.mesh.flit), Signal()
        bytes_left = Signal(range(bytes_per_flit + 1))
        flits = Signal(range(self.mesh.packet + 1))  # of the packet, less one
        full, ending = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq((bytes_left == 0) & ~ending),
            full.eq((written[:place] == first[:place]) & (written[place] != first[place])),
            write.addr.eq(Mux(ending, end[:place], written[:place])),
            write.data.eq(Mux(ending, flits, flit[:8])),
            write.en.eq(ending | (bytes_left.any() & ~full)),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [flit.eq(self.i.payload.data), last.eq(self.i.payload.last), bytes_left.eq(bytes_per_flit)]
            m.d.sync += beats.eq(0)
        with m.If(bytes_left.any() & ~full):
            m.d.sync += [flit.eq(flit >> 8), bytes_left.eq(bytes_left - 1), written.eq(written + 1)]
            with m.If(bytes_left == 1):
                m.d.sync += ending.eq(last)
                with m.If(~last):
                    m.d.sync += flits.eq(flits + 1)
        with m.If(ending):
            m.d.sync += [ending.eq(0), flits.eq(0), end.eq(written), written.eq(written + 1)]

        # What the host has
        ahead = Signal(COUNT_BITS)
        m.d.comb += ahead.eq(self.acknowledged - first)
        with m.If(self.acknowledged_en):
            with m.If(self.again):
                m.d.sync += back.eq(1)
            with m.If(~ahead[-1] & ahead.any()):  # one that has been overtaken is below
                m.d.sync += [first.eq(self.acknowledged), beats.eq(0)]

        # Frames
        answering, asked = Signal(), Signal()
        paging, loaded, done = Signal(), Signal(), Signal()
        ticket = Signal(COUNT_BITS)
        position = Signal(range(4 * PAGE.words))
        header, seen = Signal(FRAME.shape()), Signal(32)
        behind, fetch = Signal(), Signal()
        m.d.comb += [
            read.en.eq(fetch),
            behind.eq((send - first)[-1]),
            header.eq(self.status),
            header.kind.eq(Mux(paging, Kind.PAGE, Kind.DATA)),
            header.sequence.eq(Mux(paging, ticket, send)),
            read.addr.eq(send[:place]),
        ]
        octets = [header.as_value()[n : n + 8] for n in range(0, 32, 8)] + [seen[n : n + 8] for n in range(0, 32, 8)]
        page = [self.page[n : n + 8] for n in range(0, 32 * PAGE.words, 8)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [position.eq(0), paging.eq(asked), loaded.eq(send != end)]
                with m.If(back | behind):
                    m.d.sync += [send.eq(first), back.eq(0)]
                with m.Elif(asked | answering | (send != end)):
                    m.d.sync += seen.eq(self.status.as_value()[32:])  # so that its bytes belong together
                    with m.If(asked):
                        m.d.sync += asked.eq(0)
                    with m.Else():
                        m.d.sync += answering.eq(0)
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.byte.eq(Array(octets)[position[:3]]),
                    self.o.payload.last.eq((position == len(octets) - 1) & ~paging & ~loaded),
                    self.begun.eq(self.o.ready & (position == 0) & ~paging),
                ]
                with m.If(self.o.ready):
                    m.d.sync += position.eq(position + 1)
                    with m.If(position == len(octets) - 1):
                        m.d.sync += position.eq(0)
                        m.next = "IDLE"
                        with m.If(paging):
                            m.next = "PAGE"
                        with m.Elif(loaded):
                            m.next = "FETCH"
            with m.State("PAGE"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.byte.eq(Array(page)[position]),
                    self.o.payload.last.eq(position == len(page) - 1),
                ]
                with m.If(self.o.ready):
                    m.d.sync += position.eq(position + 1)
                    with m.If(position == len(page) - 1):
                        m.next = "IDLE"
            with m.State("FETCH"):
                m.d.comb += fetch.eq(1)
                m.d.sync += send.eq(send + 1)
                m.next = "LOOK"
            with m.State("LOOK"):
                m.d.sync += done.eq((send == end) | ~send[: (PAYLOAD - 1).bit_length()].any())
                m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.byte.eq(read.data), self.o.payload.last.eq(done)]
                with m.If(self.o.ready):
                    m.next = "FETCH"
                    with m.If(done):
                        m.next = "IDLE"
        with m.If(self.answer | self.beat):
            m.d.sync += answering.eq(1)
        with m.If(self.page_en):
            m.d.sync += [asked.eq(1), ticket.eq(self.ticket)]
        return m
