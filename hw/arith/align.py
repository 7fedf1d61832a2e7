"""From a float to a term of an exact sum."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat


class Align(wiring.Component):
    """Sign and magnitude of a float in the places of a sum; combinational.

    The significand is shifted by the exponent. A float with places below the sum's last one is rounded to it, to
    nearest even. What is not to be added becomes 0; so must be, by the caller, a float that is too large (see
    :meth:`FixedFormat.limit`).

    Members
    -------
    i : In(fmt.width), raw bits
    add : In(1), it is added
    magnitude : Out, in the sum's places; sign : Out(1)
    """

    def __init__(self, fmt: FloatFormat, fixed: FixedFormat):
        self.fmt, self.fixed = fmt, fixed
        bits = fixed.magnitude_bits(fmt)
        super().__init__({"i": In(fmt.width), "add": In(1), "magnitude": Out(bits), "sign": Out(1)})

    def elaborate(self, platform):
        m = Module()
        fmt, frac = self.fmt, self.fmt.frac
        unit = self.fixed.unit_code(fmt)
        code, hidden = Signal(fmt.exp), Signal()
        significand = Signal(frac + 1)
        m.d.comb += [
            self.sign.eq(self.i[-1]),
            hidden.eq(self.i[frac:-1] != 0),
            code.eq(self.i[frac:-1] | ~hidden),  # a subnormal has the exponent of the smallest normal numbers
            significand.eq(Cat(self.i[:frac], hidden) & self.add.replicate(frac + 1)),
        ]
        left = Signal(range(len(self.magnitude) - frac))
        m.d.comb += left.eq(code - unit)
        if unit <= 1:
            m.d.comb += self.magnitude.eq(significand << left)
            return m
        # Below the sum's last place stay a guard and a sticky bit; further down everything is lost
        reach = frac + 2
        right = Signal(range(reach + 1))
        shifted, rounded = Signal(frac + 1 + reach), Signal(frac + 2)
        m.d.comb += [
            right.eq(Mux(code + reach < unit, reach, unit - code)),
            shifted.eq(Cat(Const(0, reach), significand) >> right),
            rounded.eq(shifted[reach:] + (shifted[reach - 1] & (shifted[reach] | (shifted[: reach - 1] != 0)))),
            self.magnitude.eq(Mux(code < unit, rounded, significand << left)),
        ]
        return m


class Term(wiring.Component):
    """An :class:`Align` with a register behind it, which leaves out what is too large. Latency 1 cycle.

    Members
    -------
    i : In(fmt.width), raw bits; add : In(1), it is to be added
    limit : In(fmt.exp), the exponent code from which on a number is too large
    large : Out(1), it is to be added and too large, in the same cycle
    magnitude, sign : Out, the term, a cycle later
    """

    def __init__(self, fmt: FloatFormat, fixed: FixedFormat):
        self.fmt = fmt
        self.align = Align(fmt, fixed)
        super().__init__({
            "i": In(fmt.width), "add": In(1), "limit": In(fmt.exp),
            "large": Out(1), "magnitude": Out(len(self.align.magnitude)), "sign": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.align = align = self.align
        fits = self.i[self.fmt.frac : -1] < self.limit
        m.d.comb += [align.i.eq(self.i), align.add.eq(self.add & fits), self.large.eq(self.add & ~fits)]
        m.d.sync += [self.magnitude.eq(align.magnitude), self.sign.eq(align.sign)]
        return m
