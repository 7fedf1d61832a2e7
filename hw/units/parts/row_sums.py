"""Sums of rows in all lanes at once, exact and rounded once; golden model: sim/golden/sums.py."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.align import Term
from trident.hw.arith.sums import Round
from trident.hw.isa.config import CoreConfig


class RowSums(wiring.Component):
    """Adds a row per cycle, in ``cfg.fixed``; a sum is there ``latency`` cycles after its last row, whatever comes
    behind it.

    Members
    -------
    row, en : In, numbers to add; first, last : In(1), with ``en``: a sum begins, or ends, with them
    limit : In(exp), the exponent code from which on a number is too large, see :meth:`FixedFormat.limit`; it is left
        out
    total : Out(row_bits); there : Out(1), with it
    large : Out(1), a number or a total is too large
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg, self.latency = cfg, 2 + cfg.round_stages
        super().__init__({
            "row": In(cfg.row_bits), "en": In(1), "first": In(1), "last": In(1), "limit": In(cfg.exp),
            "total": Out(cfg.row_bits), "there": Out(1), "large": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, width = self.cfg, self.cfg.width
        added, first, ends = Signal(), Signal(), self.en & self.last
        m.d.sync += [added.eq(self.en), first.eq(self.first)]
        for n in range(self.latency):
            stage = Signal(name=f"there{n}")
            m.d.sync += stage.eq(ends)
            ends = stage
        totals, large, infinite = [], [], []
        for lane in range(cfg.lanes):
            m.submodules[f"term{lane}"] = term = Term(cfg.format, cfg.fixed)
            m.submodules[f"round{lane}"] = rounding = Round(cfg.format, cfg.fixed, cfg.round_stages)
            own = Signal(cfg.fixed.bits, name=f"sum{lane}")
            m.d.comb += [
                term.i.eq(self.row[lane * width : (lane + 1) * width]), term.add.eq(self.en), term.limit.eq(self.limit),
                rounding.i.eq(own),
            ]  # fmt: skip
            with m.If(added):
                m.d.sync += own.eq(Mux(first, 0, own) + Mux(term.sign, -term.magnitude, term.magnitude))
            totals.append(rounding.o)
            large.append(term.large)
            infinite.append(rounding.nonfinite)
        m.d.comb += [
            self.total.eq(Cat(totals)),
            self.there.eq(ends),
            self.large.eq(Cat(large).any() | ends & Cat(infinite).any()),
        ]
        return m
