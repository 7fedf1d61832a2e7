"""From a float to a term of an exact sum."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.planes import SHIFT


class Align(wiring.Component):
    """Sign and magnitude of a float in the places of a sum; combinational.

    The significand is shifted by the exponent. A float with places below the sum's last one is rounded to it, to
    nearest even. What is not to be added becomes 0; so must be, by the caller, a float that is too large (see
    :meth:`FixedFormat.limit`).

    Members
    -------
    i : In(fmt.width), raw bits
    add : In(1), it is added
    shift : In, with ``shifts``, the power of two that it is multiplied by before
    code : Out, its exponent code, times that power
    magnitude : Out, in the sum's places; sign : Out(1)
    """

    def __init__(self, fmt: FloatFormat, fixed: FixedFormat, shifts: bool = False):
        self.fmt, self.fixed, self.shifts = fmt, fixed, shifts
        bits = fixed.magnitude_bits(fmt)
        super().__init__({
            "i": In(fmt.width), "add": In(1), "shift": In(SHIFT if shifts else 0),
            "code": Out(signed(fmt.exp + 2) if shifts else fmt.exp), "magnitude": Out(bits), "sign": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        fmt, frac = self.fmt, self.fmt.frac
        unit = self.fixed.unit_code(fmt)
        code, hidden = self.code, Signal()
        significand = Signal(frac + 1)
        m.d.comb += [
            self.sign.eq(self.i[-1]),
            hidden.eq(self.i[frac:-1] != 0),
            # A subnormal has the exponent of the smallest normal numbers
            code.eq((self.i[frac:-1] | ~hidden) + (self.shift if self.shifts else 0)),
            significand.eq(Cat(self.i[:frac], hidden) & self.add.replicate(frac + 1)),
        ]
        left = Signal(range(len(self.magnitude) - frac))
        m.d.comb += left.eq(code - unit)
        if unit <= 1 and not self.shifts:
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
    """An :class:`Align` with a register behind it, which leaves out what is too large, with ``shifts`` once it is
    multiplied. Latency 1 cycle.

    Members
    -------
    i : In(fmt.width), raw bits; add : In(1), it is to be added; shift : In, see :class:`Align`
    limit : In(fmt.exp), the exponent code from which on a number is too large
    large : Out(1), it is to be added and too large, in the same cycle
    magnitude, sign : Out, the term, a cycle later
    """

    def __init__(self, fmt: FloatFormat, fixed: FixedFormat, shifts: bool = False):
        self.fmt = fmt
        self.align = Align(fmt, fixed, shifts)
        super().__init__({
            "i": In(fmt.width), "add": In(1), "limit": In(fmt.exp), "shift": In(self.align.shift.shape()),
            "large": Out(1), "magnitude": Out(len(self.align.magnitude)), "sign": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.align = align = self.align
        code = self.i[self.fmt.frac : -1]
        fits = (align.code < self.limit) & ~code.all() if align.shifts else code < self.limit
        m.d.comb += [
            align.i.eq(self.i), align.shift.eq(self.shift), align.add.eq(self.add & fits),
            self.large.eq(self.add & ~fits),
        ]  # fmt: skip
        m.d.sync += [self.magnitude.eq(align.magnitude), self.sign.eq(align.sign)]
        return m
