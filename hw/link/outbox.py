"""Packets of the chip into a buffer, and from there in frames, again until they are acknowledged."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.errors import TridentError
from trident.hw.isa.frames import BEATS, COUNT_BITS, FRAME, PAGE, PAYLOAD, Kind
from trident.hw.isa.mesh import MeshConfig
from trident.hw.link.framer import BODY
from trident.hw.noc.flits import flit_layout

BUFFERS = tuple(PAYLOAD << n for n in range(7))  # a payload at least; at most a quarter of what a number counts to


def check_room(mesh: MeshConfig, buffer: int):
    """Raise :class:`TridentError` unless a buffer can have so many bytes, and the longest packet finds room in it."""
    if buffer not in BUFFERS:
        *sizes, largest = map(str, BUFFERS)
        raise TridentError(f"a buffer of the link must hold {', '.join(sizes)} or {largest} bytes, not {buffer}")
    longest = 1 + mesh.packet * mesh.flit // 8
    if longest >= buffer:
        raise TridentError(
            f"a packet of {mesh.packet} flits of {mesh.flit} bits takes {longest} bytes, more than the link's buffer "
            f"of {buffer} has room for"
        )


class Outbox(wiring.Component):
    """Keep packets as records until the host has acknowledged them (go-back-N), and answer what it asks.

    A packet's bytes are written behind a free place, which gets the number of its flits when its last one is there;
    only then the record counts. ``page`` are the fields of :data:`PAGE` that never change.

    Members
    -------
    i : stream of flits, whole packets; a flit is taken with its last byte
    o : stream of the bytes of frames, see :class:`Framer`
    status : In, the fields of a frame's header that are not the outbox's own; worker : In(8), for the page
    begun : Out(1), a pulse: the flags of ``status`` are being sent in a DATA frame
    answer : In(1), a pulse: an acknowledgement is wanted; beat : In(1), a pulse: a frame is wanted in any case
    asked : In(1), a pulse: the page is wanted
    acknowledged : In(16), number of the byte that the host expects; acknowledged_en : In(1), a pulse;
        again : In(1), with it: what follows is to be sent again
    """

    def __init__(self, mesh: MeshConfig, page: dict[str, int]):
        self.mesh, self.page, self.buffer = mesh, page, 1 << page["buffer"]
        check_room(mesh, self.buffer)
        super().__init__({
            "i": In(stream.Signature(flit_layout(mesh))),
            "o": Out(stream.Signature(BODY)),
            "status": In(FRAME.shape()),
            "worker": In(8),
            "begun": Out(1),
            "answer": In(1),
            "beat": In(1),
            "asked": In(1),
            "acknowledged": In(COUNT_BITS),
            "acknowledged_en": In(1),
            "again": In(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        place = self.page["buffer"]
        m.submodules.buffer = buffer = memory.Memory(shape=8, depth=self.buffer, init=[])
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
        part = Signal(range(self.mesh.flit // 8))  # the flit's next byte
        flits = Signal(range(self.mesh.packet))  # of the packet, less one
        full, ending = Signal(), Signal()
        m.d.comb += [
            full.eq((written[:place] == first[:place]) & (written[place] != first[place])),
            write.addr.eq(Mux(ending, end[:place], written[:place])),
            write.data.eq(Mux(ending, flits, self.i.payload.data.word_select(part, 8))),
            write.en.eq(ending | (self.i.valid & ~full)),
            self.i.ready.eq(~full & ~ending & part.all()),
        ]
        with m.If(ending & ~full):  # there is a place for the next record's count
            m.d.sync += [ending.eq(0), flits.eq(0), end.eq(written), written.eq(written + 1)]
        with m.Elif(self.i.valid & ~full & ~ending):
            m.d.sync += [part.eq(part + 1), written.eq(written + 1), beats.eq(0)]
            with m.If(part.all()):
                m.d.sync += [ending.eq(self.i.payload.last), flits.eq(flits + ~self.i.payload.last)]

        # What the host has
        ahead = Signal(COUNT_BITS)
        m.d.comb += ahead.eq(self.acknowledged - first)
        with m.If(self.acknowledged_en):
            with m.If(self.again):
                m.d.sync += back.eq(1)
            with m.If(~ahead[-1]):  # a number below is one that has been overtaken
                m.d.sync += first.eq(self.acknowledged)
                with m.If(ahead.any()):
                    m.d.sync += beats.eq(0)

        # Frames
        answering, asked = Signal(), Signal()
        paging, loaded, done, fetch, waiting = Signal(), Signal(), Signal(), Signal(), Signal()
        counts = Signal(32)
        position = Signal(range(4 * (FRAME.words + PAGE.words)))
        header, page = Signal(FRAME.shape()), Signal(PAGE.shape())
        m.d.comb += [
            waiting.eq(send != end),
            header.eq(self.status),
            header.kind.eq(Mux(paging, Kind.PAGE, Kind.DATA)),
            header.sequence.eq(send),
            header.as_value()[32:].eq(counts),
            *(page[name].eq(value) for name, value in self.page.items()),
            page.worker.eq(self.worker),
            read.addr.eq(send[:place]),
            read.en.eq(fetch),
        ]
        octets = Array(whole.as_value().word_select(n, 8) for whole in (header, page)
                       for n in range(len(whole.as_value()) // 8))  # fmt: skip
        headers = 4 * FRAME.words
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [position.eq(0), paging.eq(asked), loaded.eq(waiting)]
                with m.If(back | (send - first)[COUNT_BITS - 1]):
                    m.d.sync += [send.eq(first), back.eq(0)]
                with m.Elif(asked | answering | waiting):
                    m.d.sync += counts.eq(self.status.as_value()[32:])  # so that its bytes belong together
                    with m.If(asked):
                        m.d.sync += asked.eq(0)
                    with m.Else():
                        m.d.sync += answering.eq(0)
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.byte.eq(octets[position]),
                    self.begun.eq(self.o.ready & (position == 0) & ~paging),
                ]
                with m.If(position == len(octets) - 1):
                    m.d.comb += self.o.payload.last.eq(1)
                with m.Elif(position == headers - 1):
                    m.d.comb += self.o.payload.last.eq(~paging & ~loaded)
                with m.If(self.o.ready):
                    m.d.sync += position.eq(position + 1)
                    with m.If(self.o.payload.last):
                        m.next = "IDLE"
                    with m.Elif((position == headers - 1) & ~paging):
                        m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += fetch.eq(1)
                m.d.sync += send.eq(send + 1)
                m.next = "LOOK"
            with m.State("LOOK"):
                m.d.sync += done.eq(~waiting | ~send[: (PAYLOAD - 1).bit_length()].any())
                m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.byte.eq(read.data), self.o.payload.last.eq(done)]
                with m.If(self.o.ready):
                    m.next = "FETCH"
                    with m.If(done):
                        m.next = "IDLE"
        with m.If(self.answer | self.beat):
            m.d.sync += answering.eq(1)
        with m.If(self.asked):
            m.d.sync += asked.eq(1)
        return m
