"""Narrow items side by side in flits, wide items over several flits."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.packets import REST_BITS, Packing
from trident.hw.noc.flits import flit_layout


class Unpack(wiring.Component):
    """Items from the payload flits of packets, one per cycle or one per ``pieces`` cycles.

    Members
    -------
    i : stream of payload flits; rest : In, items of the last flit, less one
    o : stream of items
    """

    def __init__(self, packing: Packing):
        self.packing = packing
        super().__init__({
            "i": In(stream.Signature(flit_layout(packing.mesh))),
            "rest": In(REST_BITS),
            "o": Out(stream.Signature(packing.item_layout())),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        bits, per, pieces = self.packing.bits, self.packing.per_flit, self.packing.pieces
        flit = self.packing.mesh.flit
        buffer = Signal(flit * pieces)
        last = Signal()
        left = Signal(range(per + 1))  # items in the buffer
        m.d.comb += [self.o.payload.item.eq(buffer[:bits]), self.o.payload.last.eq(last & (left == 1))]
        m.d.comb += self.o.valid.eq(left.any())
        taking = self.i.valid & self.i.ready
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += left.eq(left - 1)
            if per > 1:
                m.d.sync += buffer.eq(buffer >> bits)
        m.d.comb += self.i.ready.eq((left == 0) | (left == 1) & self.o.ready)
        if pieces == 1:
            with m.If(taking):
                m.d.sync += [
                    buffer.eq(self.i.payload.data),
                    last.eq(self.i.payload.last),
                    left.eq((self.rest[: per.bit_length()] if per > 1 else 0) + 1),
                ]
                with m.If(~self.i.payload.last):
                    m.d.sync += left.eq(per)
        else:
            piece = Signal(range(pieces))
            with m.If(taking):
                m.d.sync += [
                    buffer.eq(Cat(buffer[flit:], self.i.payload.data)),
                    last.eq(self.i.payload.last),
                    piece.eq(piece + 1),
                ]
                with m.If(piece == pieces - 1):
                    m.d.sync += [piece.eq(0), left.eq(1)]
        return m
