"""Addresses of the rows of weights that belong to a group of output channels, and to nothing else."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig


class RowWalk(wiring.Component):
    """The rows of a tap's input channels lie in blocks of ``lanes`` rows, ``step`` rows from one block to the next; the
    last block of a tap has as many as are left. One address per cycle.

    With one channel per tap, the rows are ``step`` rows apart.

    Members
    -------
    first : In, the first row; step : In, rows from block to block; channels : In(16), of a tap; count : In(16), rows
        in all; all hold until the last address has been taken
    start : In(1), a pulse
    o : stream of addresses, ``valid`` from the cycle after ``start`` until all have been taken
    """

    def __init__(self, cfg: CoreConfig):
        self.lanes = cfg.lanes
        rows = max((cfg.weight_rows - 1).bit_length(), 1)
        super().__init__({
            "first": In(rows), "step": In(rows), "channels": In(16), "count": In(16), "start": In(1),
            "o": Out(stream.Signature(rows)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        block, lane = Signal(self.first.shape()), Signal(range(max(self.lanes, 2)))
        channel, left = Signal(16), Signal(16)
        ends = channel + 1 == self.channels
        m.d.comb += [self.o.valid.eq(left.any()), self.o.payload.eq(block + lane)]
        with m.If(self.start):
            m.d.sync += [block.eq(self.first), lane.eq(0), channel.eq(0), left.eq(self.count)]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += [left.eq(left - 1), channel.eq(Mux(ends, 0, channel + 1)), lane.eq(lane + 1)]
            with m.If(ends | (lane == self.lanes - 1)):
                m.d.sync += [lane.eq(0), block.eq(block + self.step)]
        return m
