"""Exact sums between cores and memories: a row of them as several rows of floats' width."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig


def lane_sum(cfg: CoreConfig, parts, lane: int):
    """One lane's sum, of ``sum_bits``, in a row of parts: its lowest bits are in the first part, and so on."""
    width = cfg.width
    return Cat(parts[low : low + width] for low in range(lane * width, cfg.sum_row_bits, cfg.row_bits))


def to_lanes(cfg: CoreConfig, parts, bits: int):
    """A row of parts as sums of ``bits`` bits side by side."""
    return Cat(lane_sum(cfg, parts, lane)[:bits] for lane in range(cfg.lanes))


def to_parts(cfg: CoreConfig, lanes, bits: int):
    """Sums of ``bits`` bits side by side as a row of parts."""
    sums = [lanes[n * bits : (n + 1) * bits] for n in range(cfg.lanes)]
    whole = [Cat(value, value[-1].replicate(cfg.sum_bits - bits)) for value in sums]
    return Cat(value[low : low + cfg.width] for low in range(0, cfg.sum_bits, cfg.width) for value in whole)


class SplitParts(wiring.Component):
    """A row of parts leaves as ``sum_rows`` rows, one per cycle, its lowest bits first. No latency.

    Members
    -------
    i : stream of rows of parts; single : In(1), only the first part is in use, a row of floats
    o : stream of rows
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "i": In(stream.Signature(cfg.sum_row_bits)),
            "single": In(1),
            "o": Out(stream.Signature(cfg.row_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        rows, bits = self.cfg.sum_rows, self.cfg.row_bits
        number = Signal(range(max(rows, 2)))
        last = self.single | (number == rows - 1)
        m.d.comb += [
            self.o.payload.eq(Array(self.i.payload[n * bits : (n + 1) * bits] for n in range(rows))[number]),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & last),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += number.eq(number + 1)
            with m.If(last):
                m.d.sync += number.eq(0)
        return m


class JoinParts(wiring.Component):
    """The inverse of :class:`SplitParts`: ``sum_rows`` rows become a row of parts. No latency.

    Members
    -------
    i : stream of rows; o : stream of rows of parts
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "i": In(stream.Signature(cfg.row_bits)),
            "o": Out(stream.Signature(cfg.sum_row_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        rows, bits = self.cfg.sum_rows, self.cfg.row_bits
        number = Signal(range(max(rows, 2)))
        before = Signal((rows - 1) * bits)
        last = number == rows - 1
        m.d.comb += [
            self.o.payload.eq(Cat(before, self.i.payload)),
            self.o.valid.eq(self.i.valid & last),
            self.i.ready.eq(self.o.ready | ~last),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [before.eq(Cat(before, self.i.payload)[bits:]), number.eq(number + 1)]
            with m.If(last):
                m.d.sync += number.eq(0)
        return m
