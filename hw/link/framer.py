"""Frames onto the line: flags, escapes and the checksum."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.frames import CHECK_BYTES, ESCAPE, FLAG, FLIP
from trident.hw.link.checksum import Checksum

BODY = data.StructLayout({"byte": 8, "last": 1})


class Framer(wiring.Component):
    """A frame of header and payload, up to ``last``, with a FLAG on either side and its checksum behind it.

    Twelve cycles per byte, which is less than it takes on the line.

    Members
    -------
    i : stream of the frame's bytes; o : stream of bytes for the line
    """

    def __init__(self):
        super().__init__({"i": In(stream.Signature(BODY)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.checksum = checksum = Checksum()
        byte, escaped, special = Signal(8), Signal(), Signal()
        bits_left = Signal(3)
        last, checks_left = Signal(), Signal(range(CHECK_BYTES + 1))  # of the body; of the checksum
        m.d.comb += [
            special.eq(((byte == FLAG) | (byte == ESCAPE)) & ~escaped),
            checksum.bit.eq(byte[0]),
            checksum.out.eq(last & (checks_left != CHECK_BYTES)),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.o.payload.eq(FLAG), self.o.valid.eq(self.i.valid), checksum.clear.eq(1)]
                m.d.sync += checks_left.eq(CHECK_BYTES)
                with m.If(self.i.valid & self.o.ready):
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [byte.eq(self.i.payload.byte), last.eq(self.i.payload.last)]
                with m.If(self.i.valid):
                    m.next = "CHECK"
            with m.State("CHECK"):  # the byte goes round once, or the checksum's bits come in
                m.d.comb += checksum.en.eq(1)
                m.d.sync += [
                    byte.eq(Cat(byte[1:], Mux(checksum.out, checksum.next, byte[0]))),
                    bits_left.eq(bits_left - 1),
                ]
                with m.If(bits_left == 1):
                    m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.eq(Mux(special, ESCAPE, byte ^ (escaped << (FLIP.bit_length() - 1)))),
                ]
                with m.If(self.o.ready):
                    m.d.sync += escaped.eq(special)
                    with m.If(~special):
                        with m.If(~last):
                            m.next = "TAKE"
                        with m.Elif(checks_left == 0):
                            m.next = "END"
                        with m.Else():
                            m.d.sync += checks_left.eq(checks_left - 1)
                            m.next = "CHECK"
            with m.State("END"):
                m.d.comb += [self.o.payload.eq(FLAG), self.o.valid.eq(1)]
                with m.If(self.o.ready):
                    m.next = "IDLE"
        return m
