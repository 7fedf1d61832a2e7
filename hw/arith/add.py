"""Pipelined floating-point adder; golden model: sim/golden/add.py."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.pipeline import Pipeline, check_stages
from trident.hw.isa.format import FloatFormat

# The places of the inner registers for each number of stages; an output register is always there.
_CUTS = {
    1: (),
    2: ("sum",),
    3: ("aligned", "count"),
    4: ("operands", "aligned", "count"),
    5: ("operands", "aligned", "sum", "count"),
    6: ("operands", "ordered", "aligned", "sum", "count"),
    7: ("operands", "ordered", "aligned", "sum", "count", "normal"),
}


def leading_zeros(m, value, name):
    """The number of zeros above the highest one of a value; undefined for 0.

    A binary search down to four bits, then a table of two bits for each of their codes. Shifts, rather than
    multiplexers, keep the simulation free of unpredictable branches.
    """
    levels = max((len(value) - 1).bit_length(), 2)
    value = Cat(Const(0, (1 << levels) - len(value)), value)
    position = []
    for level in reversed(range(2, levels)):
        upper = Signal(name=f"{name}_{1 << level}")
        m.d.comb += upper.eq(value[1 << level:] != 0)
        value = (value >> Cat(Const(0, level), upper))[:1 << level]
        position.insert(0, upper)
    table = sum(max(code.bit_length() - 1, 0) << 2 * code for code in range(16))
    return ~Cat((Const(table, 32) >> Cat(Const(0, 1), value))[:2], position)


class FloatAdd(wiring.Component):
    """The sum of two numbers, rounded to nearest even, every cycle (IEEE 754; subnormals kept, NaN canonical).

    A zero sum of operands of different signs is +0. So `x + (-0)` is x, bit for bit, for every x but a NaN.

    Parameters
    ----------
    fmt : FloatFormat
    stages : int
        1 to 7: the latency in cycles. One result leaves per cycle; there is no stall.

    Members
    -------
    a, b : In(fmt.width)
        Operands as raw bits.
    o : Out(fmt.width)
        The sum, `latency` cycles later.
    nonfinite : Out(1)
        `o` is infinity or NaN.

    Raises
    ------
    TridentError
        If stages is not an integer from 1 to 7.
    """

    def __init__(self, fmt: FloatFormat, stages: int):
        self._cuts = check_stages("FloatAdd", stages, _CUTS)
        self._stages = stages
        self.fmt = fmt
        super().__init__({"a": In(fmt.width), "b": In(fmt.width), "o": Out(fmt.width), "nonfinite": Out(1)})

    @property
    def latency(self):
        """Cycles from operands to sum."""
        return self._stages

    def elaborate(self, platform):
        m = Module()
        pipe = Pipeline(m, self._cuts)
        fmt, frac, exp = self.fmt, self.fmt.frac, self.fmt.exp
        low, top = fmt.width - 1, (1 << exp) - 1

        a, b = pipe.cut("operands", self.a, self.b)  # an accumulator is read in front of it
        # Order the operands by magnitude. The exchange is by exclusive or: no branch in the simulation.
        swap, difference, big, small = Signal(), Signal(fmt.width), Signal(fmt.width), Signal(fmt.width)
        # How far apart they are, both ways round: a subnormal has the exponent of the smallest normal numbers
        distance = Signal(exp)
        exp_a, exp_b = (value[frac:low] | (value[frac:low] == 0) for value in (a, b))
        m.d.comb += [
            swap.eq(a[:low] < b[:low]),
            difference.eq(a ^ b),
            big.eq(a ^ (difference & swap.replicate(fmt.width))),
            small.eq(b ^ (difference & swap.replicate(fmt.width))),
            distance.eq(Mux(swap, exp_b - exp_a, exp_a - exp_b)),
        ]
        opposite = difference == fmt.negative_zero
        big, small, distance, opposite = pipe.cut("ordered", big, small, distance, opposite)

        big_hidden, small_hidden, special = Signal(), Signal(), Signal()
        big_exp = Signal(exp)
        subtract, nan = Signal(), Signal()
        m.d.comb += [
            big_hidden.eq(big[frac:low] != 0),
            small_hidden.eq(small[frac:low] != 0),
            big_exp.eq(big[frac:low] | ~big_hidden),
            special.eq(big[frac:low] == top),
            subtract.eq(big[-1] ^ small[-1]),
            nan.eq(special & (opposite | (big[:frac] != 0))),
        ]
        # What the result has in any case: the sign, and the quiet bit of a NaN. Exact cancellation gives +0.
        marks = Cat(Const(0, frac - 1), nan, Const(0, exp), big[-1] & ~(opposite | nan))

        # Align: below the last place stay a guard, a round and a sticky bit. Beyond `reach` only the sticky bit is set;
        # so it is beside an infinity, which the rounding then restores.
        reach = (1 << (frac + 3).bit_length()) - 1
        steps = reach.bit_length()
        far = special | (distance[steps:] != 0)
        shift = Signal(steps)
        shifted = Signal(frac + 1 + reach)
        m.d.comb += [
            shift.eq(distance[:steps] | far.replicate(steps)),
            shifted.eq(Cat(Const(0, reach), small[:frac], small_hidden) >> shift),
        ]
        # Places of a sum, from the lowest: carry in, sticky, round, guard, fraction, hidden one, carry out.
        width = frac + 6
        augend, addend = Signal(width), Signal(width)
        m.d.comb += [
            augend.eq(Cat(subtract, Const(0, 3), big[:frac], big_hidden)),
            addend.eq(Cat(Const(0, 1), shifted[:reach - 2] != 0, shifted[reach - 2:]) ^ subtract.replicate(width)),
        ]
        augend, addend, big_exp, marks = pipe.cut("aligned", augend, addend, big_exp, marks)

        # One carry chain adds or subtracts: the two lowest bits make the carry of the two's complement.
        total = Signal(width)
        m.d.comb += total.eq(augend + addend)
        total, big_exp, marks = pipe.cut("sum", total, big_exp, marks)

        # The leading one goes to the top, but no further than the least exponent allows: a one put where that exponent
        # would end stops the search.
        stop = Const(1 << (width - 1), width) >> big_exp
        count = leading_zeros(m, total | stop, "upper")
        total, count, big_exp, marks = pipe.cut("count", total, count, big_exp, marks)
        normal, code = Signal(width), Signal(exp)
        m.d.comb += [
            normal.eq(total << count),
            code.eq((big_exp + 1 - count) & normal[-1].replicate(exp)),
        ]
        normal, code, marks = pipe.cut("normal", normal, code, marks)

        # Round to nearest even, up or not by a table of the last place, guard, round and sticky; a carry out of the
        # fraction is the right carry into the exponent.
        table = sum((tail >> 3 & 1 & (tail >> 4 | (tail & 7 != 0))) << tail for tail in range(32))
        rounded, infinite, up = Signal(low), Signal(), Signal()
        m.d.comb += [
            up.eq((Const(table, 32) >> normal[1:6])[0]),
            rounded.eq(Cat(normal[5:-1], code) + up),
            infinite.eq((code == top) | (code == top - 1) & normal[5:-1].all() & up),
        ]
        result = Mux(infinite, fmt.inf, rounded) | marks
        m.d.comb += [
            self.o.eq(pipe.register("result", result[:fmt.width])),
            self.nonfinite.eq(pipe.register("infinite", infinite)),
        ]
        return m
