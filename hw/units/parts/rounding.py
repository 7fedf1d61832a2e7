"""Rows of exact sums become rows of floats, beside what travels with them."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.sums import Round
from trident.hw.isa.config import CoreConfig


class RoundRows(wiring.Component):
    """One rounding per lane: a row per cycle, latency ``round_stages`` + 1. Sums that are too large become the largest
    float.

    Parameters
    ----------
    cfg : CoreConfig; the sums are gradients
    beside : shape of what travels beside a row

    Members
    -------
    i : stream of ``row``, sums side by side, and ``beside``
    o : stream of ``row``, floats, and ``beside``
    busy : Out(1), a row is held
    saturated : Out(1), a sum that is too large leaves the rounding
    """

    def __init__(self, cfg: CoreConfig, beside):
        self.cfg = cfg
        self.items = [
            data.StructLayout({"row": bits, "beside": beside}) for bits in (cfg.gradient_row_bits, cfg.row_bits)
        ]
        super().__init__({
            "i": In(stream.Signature(self.items[0])),
            "o": Out(stream.Signature(self.items[1])),
            "busy": Out(1),
            "saturated": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, bits = self.cfg, self.cfg.gradient_bits
        depth = cfg.round_stages + 2
        m.submodules.rows = rows = fifo.SyncFIFO(width=self.items[1].size, depth=depth)
        held = Signal(range(depth + 1))
        taken, leaves = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        m.d.sync += held.eq(held + taken - leaves)
        beside, there = self.i.payload.beside, taken
        rounded, large = [], []
        for lane in range(cfg.lanes):
            m.submodules[f"round_{lane}"] = rounding = Round(
                cfg.format, cfg.fixed_of("weight_grad"), cfg.round_stages, saturate=True
            )
            m.d.comb += rounding.i.eq(self.i.payload.row[lane * bits : (lane + 1) * bits])
            rounded.append(rounding.o)
            large.append(rounding.nonfinite)
        for n in range(cfg.round_stages):
            stages = Signal.like(beside, name=f"beside{n}"), Signal(name=f"there{n}")
            m.d.sync += [stages[0].eq(beside), stages[1].eq(there)]
            beside, there = stages
        entering = Signal(self.items[1])
        m.d.comb += [
            entering.row.eq(Cat(rounded)),
            entering.beside.eq(beside),
            rows.w_data.eq(entering),
            rows.w_en.eq(there),
            self.saturated.eq(there & Cat(large).any()),
            self.i.ready.eq(held != depth),
            self.o.payload.eq(rows.r_data),
            self.o.valid.eq(rows.r_rdy),
            rows.r_en.eq(self.o.ready),
            self.busy.eq(held.any()),
        ]
        return m
