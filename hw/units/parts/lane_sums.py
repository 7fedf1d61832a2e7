"""A sum in every lane of rows, exact and rounded once; golden model: sim/golden/sums.py."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.align import Term
from trident.hw.arith.sums import Round
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.job import JOB

POWER_BITS = JOB.shape()["words"].width  # of the power of two that a sum is divided by, unless there are more


class LaneSums(wiring.Component):
    """Adds a row per cycle, in ``cfg.pass_fixed``, then divides the sums by a power of two and rounds one lane after
    another: ``lanes + round_stages`` cycles from ``round`` to ``done``.

    Members
    -------
    clear : In(1), sums become 0; row, en : In, numbers to add
    limit : In(exp), the exponent code from which on a number is too large, see :meth:`FixedFormat.limit`; it is left
        out
    power : In, sums are divided by 2**power
    round : In(1), a pulse, from the cycle after the last row on; done : Out(1), a pulse, the total is there from the
        next cycle until the next ``round``
    total : Out(row_bits)
    large : Out(1), a number or a total is too large
    sums : Out, with ``merges``, those of all lanes beside each other; given, add : In, likewise others that are added
    """

    def __init__(self, cfg: CoreConfig, power_bits: int = POWER_BITS, merges: bool = False):
        self.cfg, self.power_bits, self.merges = cfg, power_bits, merges
        sums = cfg.lanes * cfg.pass_fixed.bits
        super().__init__({
            "clear": In(1), "row": In(cfg.row_bits), "en": In(1), "limit": In(cfg.exp), "power": In(power_bits),
            "round": In(1), "done": Out(1), "total": Out(cfg.row_bits), "large": Out(1),
            **({"sums": Out(sums), "given": In(sums), "add": In(1)} if merges else {}),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, fixed, width = self.cfg, self.cfg.pass_fixed, self.cfg.width
        most = (1 << self.power_bits) - 1
        added, leaving, large = Signal(), Signal(), []
        m.d.sync += added.eq(self.en)
        sums = [Signal(fixed.bits, name=f"sum{lane}") for lane in range(cfg.lanes)]
        for lane, (own, above) in enumerate(zip(sums, [*sums[1:], sums[0]], strict=True)):
            m.submodules[f"term{lane}"] = term = Term(cfg.format, fixed)
            m.d.comb += [
                term.i.eq(self.row[lane * width : (lane + 1) * width]), term.add.eq(self.en), term.limit.eq(self.limit),
            ]  # fmt: skip
            large.append(term.large)
            with m.If(self.clear):
                m.d.sync += own.eq(0)
            with m.Elif(added):
                m.d.sync += own.eq(own + Mux(term.sign, -term.magnitude, term.magnitude))
            if self.merges:
                with m.Elif(self.add):
                    m.d.sync += own.eq(own + self.given[lane * fixed.bits : (lane + 1) * fixed.bits])
            with m.Elif(leaving):
                m.d.sync += own.eq(above)

        # The lowest lane is rounded, and the others move down
        wide = FixedFormat(fixed.bits + most, fixed.place - most)
        m.submodules.rounding = rounding = Round(cfg.format, wide, cfg.round_stages)
        m.d.comb += rounding.i.eq(sums[0].as_signed() << (~self.power)[: self.power_bits])  # ``most`` less the power
        left = Signal(range(cfg.lanes + 1))
        there = leaving
        for n in range(cfg.round_stages):
            stage = Signal(name=f"there{n}")
            m.d.sync += stage.eq(there)
            there = stage
        arrives = Signal(range(cfg.lanes + 1))
        m.d.comb += [
            leaving.eq(left.any()),
            self.done.eq(there & (arrives == 1)),
            self.large.eq(Cat(large).any() | there & rounding.nonfinite),
        ]
        if self.merges:
            m.d.comb += self.sums.eq(Cat(sums))
        with m.If(self.round):
            m.d.sync += [left.eq(cfg.lanes), arrives.eq(cfg.lanes)]
        with m.Elif(leaving):
            m.d.sync += left.eq(left - 1)
        with m.If(there):
            # A negative sum may round to a zero, which is +0
            rounded = Cat(rounding.o[:-1], rounding.o[-1] & rounding.o[:-1].any())
            m.d.sync += [self.total.eq(Cat(self.total[width:], rounded)), arrives.eq(arrives - 1)]
        return m
