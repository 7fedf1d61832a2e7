"""Frames from the line into a buffer: a frame counts as a whole or not at all."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.frames import CHECK_BYTES, COUNT_BITS, ESCAPE, FLAG, FLIP, FRAME, Kind
from trident.hw.link.checksum import Checksum

HEADER_BYTES = 4 * FRAME.words


class Inbox(wiring.Component):
    """Take frames apart, check them, and keep the payloads of those that continue the stream.

    A payload is written into the buffer while it comes, and counts only when its checksum is right, its session is the
    one under way and its first byte is the one that is expected; otherwise the next frame overwrites it. A frame is
    judged in the cycle after its closing FLAG.

    Members
    -------
    valid, data, broken : In, bytes as :class:`UartReceiver` gives them
    session : In(8), the one under way
    frame : Out(1), a pulse: a frame whose checksum is right; header : Out, its header, until the next one begins
    again : Out(1), a pulse: bytes have been lost; answer : Out(1), a pulse: the frame asks for an acknowledgement
    bad : Out(1), a pulse: what ended was no frame
    received, taken : Out(16), numbers of the next byte from the host and of the next byte of ``o``
    o : stream of bytes, one every three cycles
    """

    def __init__(self, buffer: int):
        """``buffer``: bytes that it holds, a power of two."""
        self.buffer = buffer
        super().__init__({
            "valid": In(1),
            "data": In(8),
            "broken": In(1),
            "session": In(8),
            "frame": Out(1),
            "header": Out(FRAME.shape()),
            "again": Out(1),
            "answer": Out(1),
            "bad": Out(1),
            "received": Out(COUNT_BITS),
            "taken": Out(COUNT_BITS),
            "o": Out(stream.Signature(8)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        place = (self.buffer - 1).bit_length()
        m.submodules.buffer = buffer = memory.Memory(shape=8, depth=self.buffer, init=[])
        write, read = buffer.write_port(), buffer.read_port()
        m.submodules.checksum = checksum = Checksum()

        # Bytes without their escapes; the last four are kept back, because they may be the checksum
        escaped, wrong, ending = Signal(), Signal(), Signal()
        byte, coming = Signal(8), Signal()
        flag = Signal()
        back = Signal(8 * CHECK_BYTES)
        filled = Signal(range(CHECK_BYTES + HEADER_BYTES + 1))  # bytes of the frame so far, up to the payload
        header = Signal(8 * HEADER_BYTES)
        m.d.comb += [
            flag.eq(self.data == FLAG),
            byte.eq(self.data ^ (escaped << (FLIP.bit_length() - 1))),
            coming.eq(self.valid & ~flag & (self.data != ESCAPE)),
            self.header.eq(header),
        ]
        with m.If(self.valid):
            m.d.sync += escaped.eq(self.data == ESCAPE)
        m.d.sync += ending.eq(self.valid & flag)
        with m.If(self.broken | (self.valid & flag & escaped)):
            m.d.sync += wrong.eq(1)

        # The checksum takes a byte in eight cycles, which is less than a byte takes on the line
        bit, summing = Signal(3), Signal()
        m.d.comb += [
            checksum.bit.eq(back[-8:].bit_select(bit, 1)), checksum.en.eq(summing), checksum.clear.eq(ending),
        ]  # fmt: skip
        with m.If(summing):
            m.d.sync += [bit.eq(bit + 1), summing.eq(bit != 7)]

        # `written` runs ahead of `received` while a payload comes
        length = Signal(place + 1)
        written, received, taken = (Signal(COUNT_BITS, name=name) for name in ("written", "received", "taken"))
        whole, full = Signal(), Signal()
        m.d.comb += [
            written.eq(received + length),
            whole.eq(filled == CHECK_BYTES + HEADER_BYTES),
            full.eq((written[:place] == taken[:place]) & (written[place] != taken[place])),
            write.addr.eq(written[:place]),
            write.data.eq(back[:8]),
            write.en.eq(coming & whole & ~full),
            self.received.eq(received),
            self.taken.eq(taken),
        ]
        with m.If(coming):
            m.d.sync += [summing.eq(1), back.eq(Cat(back[8:], byte))]
            with m.If(whole):
                m.d.sync += length.eq(length + ~full)
                with m.If(full):
                    m.d.sync += wrong.eq(1)
            with m.Else():
                m.d.sync += filled.eq(filled + 1)
                with m.If(filled[2:].any()):  # the first four bytes have only filled the register
                    m.d.sync += header.eq(Cat(header[8:], back[:8]))

        good, fits, own, payload = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            good.eq(ending & whole & checksum.right & ~wrong),
            fits.eq(self.header.sequence == received),
            own.eq((self.header.kind == Kind.DATA) & (self.header.session == self.session)),
            payload.eq(length.any()),
            self.frame.eq(good),
            self.bad.eq(ending & (filled.any() | wrong) & ~good),
            self.again.eq(self.bad | (good & own & ~fits)),
            self.answer.eq(self.again | (good & own & payload)),
        ]
        with m.If(ending):
            m.d.sync += [filled.eq(0), wrong.eq(0), length.eq(0)]
            with m.If(good & own & fits):
                m.d.sync += received.eq(written)

        # The other end: a byte out of the memory, and the place is free when it has been taken
        fetching = Signal()
        m.d.comb += [read.addr.eq(taken[:place]), self.o.payload.eq(read.data)]
        m.d.sync += fetching.eq((taken != received) & ~fetching & ~self.o.valid)
        with m.If(fetching):
            m.d.sync += self.o.valid.eq(1)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [self.o.valid.eq(0), taken.eq(taken + 1)]
        return m
