"""CRC-32 (ISO-HDLC), a bit per cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

POLYNOMIAL = 0xEDB88320  # lowest bit first
RESIDUE = 0xDEBB20E3  # what is left after a frame whose checksum is right


class Checksum(wiring.Component):
    """The register of a CRC-32; a frame with its checksum behind it leaves :data:`RESIDUE`.

    Members
    -------
    clear : In(1), begin a frame; en : In(1), take ``bit``; out : In(1), with ``en``: instead let the checksum out
    bit : In(1), lowest bit of a byte first; next : Out(1), the checksum's next bit, likewise
    right : Out(1), the register holds the residue
    """

    def __init__(self):
        super().__init__({
            "clear": In(1), "en": In(1), "out": In(1), "bit": In(1), "next": Out(1), "right": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        value = Signal(32, init=0xFFFFFFFF)
        back = Signal()
        m.d.comb += [
            back.eq((value[0] ^ self.bit) & ~self.out),
            self.next.eq(~value[0]),
            self.right.eq(value == RESIDUE),
        ]
        with m.If(self.clear):
            m.d.sync += value.eq(0xFFFFFFFF)
        with m.Elif(self.en):
            m.d.sync += value.eq((value >> 1) ^ Mux(back, POLYNOMIAL, 0))
        return m
