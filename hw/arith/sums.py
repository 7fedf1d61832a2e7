"""From an exact sum to the nearest float; golden model: sim/golden/sums.py."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.pipeline import Pipeline, check_stages
from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat

# The places of the inner registers for each number of stages; an output register is always there.
_CUTS = {1: (), 2: ("half",), 3: ("half", "normal"), 4: ("early", "late", "normal")}


class Round(wiring.Component):
    """The float nearest to a fixed-point number, ties to even, every cycle; subnormals kept, a zero is +0.

    Parameters
    ----------
    fmt : FloatFormat
    fixed : FixedFormat
        Its last place is not below the format's least subnormal, so that no sum but 0 becomes a zero.
    stages : int
        1 to 4: the latency in cycles. One result leaves per cycle; there is no stall.
    limit : int or None
        The exponent code from which on a result is too large; by default that of infinity.
    saturate : bool
        What is too large becomes the largest number below the limit, so that it can be added to again, not infinity.

    Members
    -------
    i : In(fixed.bits), two's complement
    o : Out(fmt.width), `latency` cycles later
    nonfinite : Out(1)
        The result is too large.

    Raises
    ------
    TridentError
        If stages is not an integer from 1 to 4.
    """

    def __init__(
        self, fmt: FloatFormat, fixed: FixedFormat, stages: int, limit: int | None = None, saturate: bool = False
    ):
        self._limit = fmt.inf >> fmt.frac if limit is None else limit
        self._instead = (self._limit << fmt.frac) - 1 if saturate else fmt.inf
        self._cuts = check_stages("Round", stages, _CUTS)
        self._stages = stages
        self.fmt, self.fixed = fmt, fixed
        super().__init__({"i": In(fixed.bits), "o": Out(fmt.width), "nonfinite": Out(1)})

    @property
    def latency(self):
        """Cycles from sum to float."""
        return self._stages

    def elaborate(self, platform):
        m = Module()
        pipe = Pipeline(m, self._cuts)
        fmt, frac, top = self.fmt, self.fmt.frac, self._limit
        width = max(self.fixed.bits - 1, frac + 4)  # of the magnitude; below the fraction, two bits and a sticky one
        low = width - (self.fixed.bits - 1)
        value, sign = Cat(Const(0, low), self.i[:-1]), self.i[-1]

        # The leading one, or a negative number's leading zero, goes to the top, but no further than the least exponent
        # allows, by ever smaller shifts. `whole`: all that is allowed has been shifted so far. Of what lies below the
        # guard bit behind all shifts that may still come, only whether it is zero is kept.
        offset = width - 1 - low + self.fixed.place + fmt.bias  # exponent code of a one in the highest place
        most, levels = offset - 1, (width - 1).bit_length()
        below, whole, count = Const(0, 1), Const(most < 1 << levels, 1), []
        for level in reversed(range(levels)):
            places = 1 << level
            lost = max(len(value) - (frac + 2) - (places - 1), 0)
            shift, shifted = Signal(name=f"shift_{places}"), Signal(len(value) - lost, name=f"shifted_{places}")
            missed = Signal(name=f"below_{places}")
            m.d.comb += [
                shift.eq((value[-places:] == sign.replicate(places)) & (1 if most >> level & 1 else ~whole)),
                shifted.eq((value << Cat(Const(0, level), shift))[lost : len(value)]),
                missed.eq(below | value[:lost].any() & ~shift),
            ]
            whole = whole & (shift if most >> level & 1 else 1)
            value, below, count = shifted, missed, [shift, *count]
            for place, at in (("early", levels * 2 // 3), ("half", levels // 2), ("late", levels // 3)):
                if level == at:
                    value, below, whole, sign, *count = pipe.cut(place, value, below, whole, sign, *count)

        # The magnitude of a negative number is its complement, and one more in its last place: if all below the guard
        # bit is zero, that comes up to there
        code, magnitude = Signal(range(max(offset, (1 << fmt.exp) - 1) + 1)), Signal(frac + 2)
        m.d.comb += [
            magnitude.eq(value ^ sign.replicate(frac + 2)),
            code.eq((offset - Cat(count))[: len(code)] & magnitude[-1].replicate(len(code))),
        ]
        magnitude, below, code, sign = pipe.cut("normal", magnitude, below, code, sign)

        # A carry out of the fraction is the right carry into the exponent
        fraction, guard = magnitude[1 : frac + 1], magnitude[0]
        rounded, infinite, up = Signal(frac + len(code)), Signal(), Signal()
        m.d.comb += [
            up.eq(Mux(sign & ~below, guard | fraction[0], guard & (fraction[0] | below))),
            rounded.eq(Cat(fraction, code) + up),
            infinite.eq((code >= top) | (code == top - 1) & fraction.all() & up),
        ]
        magnitude = Mux(infinite, self._instead, rounded[: fmt.width - 1])
        m.d.comb += [
            self.o.eq(pipe.register("result", Cat(magnitude, sign))),
            self.nonfinite.eq(pipe.register("infinite", infinite)),
        ]
        return m
