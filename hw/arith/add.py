"""Pipelined floating-point adder; golden model: sim/golden/add.py."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.align import Align
from trident.hw.arith.pipeline import Pipeline
from trident.hw.arith.sums import Round
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat


def add_term(total, width: int, magnitude, negative):
    """``total + magnitude`` or, if ``negative``, ``total - magnitude``, ``width`` bits wide, with one carry chain."""
    total = Const(0, width) if isinstance(total, int) else total
    inverted = Cat(magnitude, Const(0, width - len(magnitude))) ^ negative.replicate(width)
    return (Cat(negative, total) + Cat(negative, inverted))[1 : width + 1]


class FloatAdd(wiring.Component):
    """The sum of two numbers, rounded to nearest even, every cycle: both become terms of an exact sum.

    For every finite sum of floats that fit the sum's places this is IEEE 754's addition, subnormals kept, but that a
    zero sum is +0 even of two zeros of -0. With an operand that is infinite, not a number or too large for the sum,
    the result is +infinity.

    Parameters
    ----------
    fmt : FloatFormat
    fixed : FixedFormat
        In which the sum is made; narrowed to what two numbers need.
    stages : int
        1 to 4: of :class:`Round`. The latency is two cycles more. One result leaves per cycle; there is no stall.

    Members
    -------
    a, b : In(fmt.width)
        Operands as raw bits.
    o : Out(fmt.width)
        The sum, `latency` cycles later.
    nonfinite : Out(1)
        `o` is infinite.

    Raises
    ------
    TridentError
        If stages is not an integer from 1 to 4.
    """

    def __init__(self, fmt: FloatFormat, fixed: FixedFormat, stages: int):
        self.fmt, self.fixed = fmt, fixed.of_pairs(fmt)
        self._round = Round(fmt, self.fixed, stages)
        super().__init__({"a": In(fmt.width), "b": In(fmt.width), "o": Out(fmt.width), "nonfinite": Out(1)})

    @property
    def latency(self):
        """Cycles from operands to sum."""
        return 2 + self._round.latency

    def elaborate(self, platform):
        m = Module()
        fmt, limit = self.fmt, self.fixed.limit(self.fmt, 2)
        pipe = Pipeline(m, ("terms", "total"))
        m.submodules.round = rounding = self._round
        terms, large = [], []
        for name in "ab":
            value = getattr(self, name)
            m.submodules[f"align_{name}"] = align = Align(fmt, self.fixed)
            fits = value[fmt.frac : -1] < limit
            m.d.comb += [align.i.eq(value), align.add.eq(fits)]
            terms += [align.magnitude, align.sign]
            large.append(~fits)
        *terms, large = pipe.cut("terms", *terms, Cat(large).any())
        first, total = Signal(self.fixed.bits), Signal(self.fixed.bits)
        m.d.comb += [
            first.eq(add_term(0, self.fixed.bits, terms[0], terms[1])),
            total.eq(add_term(first, self.fixed.bits, terms[2], terms[3])),
        ]
        total, large = pipe.cut("total", total, large)
        for n in range(rounding.latency):
            large = pipe.register(f"large{n}", large)
        m.d.comb += [
            rounding.i.eq(total),
            self.o.eq(rounding.o),
            self.nonfinite.eq(rounding.nonfinite | large),
        ]
        with m.If(large):
            m.d.comb += self.o.eq(fmt.inf)
        return m
