"""Pipelined floating-point multiplier; golden model: sim/golden/mul.py."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.pipeline import Pipeline, check_stages
from trident.hw.errors import TridentError
from trident.hw.isa.format import FloatFormat

# The places of the inner registers for each number of stages; an output register is always there. What follows the
# product is longest with subnormals.
_CUTS_FLUSH = {1: (), 2: ("product",), 3: ("operands", "product"), 4: ("operands", "product", "normal")}
_CUTS_GRADUAL = {**_CUTS_FLUSH, 3: ("product", "normal")}
_MAX_SCALE_BITS = 10


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


class FloatMul(wiring.Component):
    """The product of two numbers and a power of two, rounded once to nearest even, every cycle (NaN canonical).

    Parameters
    ----------
    fmt : FloatFormat
    stages : int
        1 to 4: the latency in cycles. One result leaves per cycle; there is no stall.
    subnormals : bool
        True: IEEE 754. False, which saves the shifters: a subnormal operand counts as a zero of its sign; the
        product is rounded as if the exponent had no lower limit, and if it is then below the smallest normal number it
        becomes a zero of its sign.
    scale_bits : int
        0 to 10. If not 0, there is a port `scale`, and the result is `a * b * 2**scale`.

    Members
    -------
    a, b : In(fmt.width)
        Operands as raw bits.
    scale : In(signed(scale_bits))
        Exponent of the power of two; only if scale_bits is not 0.
    o : Out(fmt.width)
        The product, `latency` cycles later.
    nonfinite : Out(1)
        `o` is infinity or NaN.

    Raises
    ------
    TridentError
        If stages or scale_bits is out of range, or subnormals is not a bool.
    """

    def __init__(self, fmt: FloatFormat, stages: int, subnormals: bool, scale_bits: int = 0):
        self._cuts = check_stages("FloatMul", stages, _CUTS_GRADUAL if subnormals else _CUTS_FLUSH)
        if not isinstance(subnormals, bool):
            raise TridentError(f"FloatMul subnormals must be True or False, not {subnormals!r}")
        if not isinstance(scale_bits, int) or isinstance(scale_bits, bool) or not 0 <= scale_bits <= _MAX_SCALE_BITS:
            raise TridentError(
                f"FloatMul scale_bits must be an integer from 0 to {_MAX_SCALE_BITS}, not {scale_bits!r}")
        self._stages = stages
        self.fmt = fmt
        self.subnormals = subnormals
        self.scale_bits = scale_bits
        ports = {"a": In(fmt.width), "b": In(fmt.width), "o": Out(fmt.width), "nonfinite": Out(1)}
        if scale_bits:
            ports["scale"] = In(signed(scale_bits))
        super().__init__(ports)

    @property
    def latency(self):
        """Cycles from operands to product."""
        return self._stages

    def elaborate(self, platform):
        m = Module()
        pipe = Pipeline(m, self._cuts)
        fmt, frac, exp = self.fmt, self.fmt.frac, self.fmt.exp
        low, top = fmt.width - 1, (1 << exp) - 1

        scale = [self.scale] if self.scale_bits else []
        a, b, *scale = pipe.cut("operands", self.a, self.b, *scale)  # which may come out of a memory
        codes = [operand[frac:low] for operand in (a, b)]
        fractions = [operand[:frac] for operand in (a, b)]
        hidden = [code != 0 for code in codes]
        specials = [code == top for code in codes]
        if self.subnormals:
            zero = (a[:low] == 0) | (b[:low] == 0)
            codes = [code | ~one for code, one in zip(codes, hidden, strict=True)]
            # Beside an infinity a zero gets a hidden one, so that the product comes out infinite.
            hidden = [one | other for one, other in zip(hidden, reversed(specials), strict=True)]
        else:
            zero = ~(hidden[0] & hidden[1])
            hidden = [Const(1, 1)] * 2
        special, nan = Signal(), Signal()
        m.d.comb += [
            special.eq(specials[0] | specials[1]),
            nan.eq((special & zero) | (specials[0] & (fractions[0] != 0)) | (specials[1] & (fractions[1] != 0))),
        ]
        # What the result has in any case: the sign, and the quiet bit of a NaN.
        marks = Cat(Const(0, frac - 1), nan, Const(0, exp), (a[-1] ^ b[-1]) & ~nan)

        # Exponents travel with an offset, above every negative one. `power` less the offset is the code of a product
        # whose leading one is in the highest place (with subnormals) or the second highest (without). An infinite
        # operand sets the highest bit: far in overflow; a flushed zero clears all others: far in underflow.
        offset = 1 << max(exp + 1, self.scale_bits, 5) + 1
        power = Signal(offset.bit_length() + 1)
        power_sum = codes[0] + codes[1] + (offset - fmt.bias + int(self.subnormals))
        for exponent in scale:
            power_sum = power_sum + exponent
        usable = Const(1, 1) if self.subnormals else ~zero
        m.d.comb += power.eq(Cat(power_sum[:len(power) - 1] & usable.replicate(len(power) - 1), special))
        sigs = [Cat(fraction, one) for fraction, one in zip(fractions, hidden, strict=True)]

        product = Signal(2 * frac + 2)
        m.d.comb += product.eq(sigs[0] * sigs[1])
        product, power, marks = pipe.cut("product", product, power, marks)

        normalise = self._normalise_gradual if self.subnormals else self._normalise_flush
        sig, base, marks = normalise(m, pipe, product, power, marks, offset)

        # Round to nearest even, up or not by a table of the last place, guard and sticky; a carry out of the fraction
        # is the right carry into the exponent.
        rounded, infinite, up, carry = Signal(len(base) + frac), Signal(), Signal(), Signal()
        # Where the code lies is seen beside the rounding: above the codes, or among them
        least = 0 if self.subnormals else offset
        above, among, code = base[exp:] > least >> exp, base[exp:] == least >> exp, base[:exp]
        m.d.comb += [
            up.eq((Const(0b11001000, 8) >> sig[:3])[0]),
            carry.eq(sig[2:].all() & up),
            rounded.eq(Cat(sig[2:], base) + up),
            infinite.eq(above | among & ((code == top) | (code == top - 1) & carry)),
        ]
        magnitude = Mux(infinite, fmt.inf, rounded[:low])
        if not self.subnormals:
            magnitude = Mux(above | among & ((code != 0) | carry), magnitude, 0)
        m.d.comb += [
            self.o.eq(pipe.register("result", magnitude | marks)),
            self.nonfinite.eq(pipe.register("infinite", infinite)),
        ]
        return m

    def _normalise_flush(self, m, pipe, product, power, marks, offset):
        """Fraction with guard and sticky, and exponent code with offset; the leading one is in one of two places."""
        frac = self.fmt.frac
        high = product[-1]
        normal, base = Signal(len(product)), Signal(len(power))
        m.d.comb += [
            normal.eq(product << ~high),
            base.eq(power + high),
        ]
        return pipe.cut("normal", Cat(normal[:frac] != 0, normal[frac:-1]), base, marks)

    def _normalise_gradual(self, m, pipe, product, power, marks, offset):
        """The same, without the offset, for a leading one anywhere and a result that may be subnormal."""
        frac = self.fmt.frac
        count = leading_zeros(m, product, "upper")
        normal, code = Signal(len(product)), Signal(len(power))
        m.d.comb += [
            normal.eq(product << count),
            code.eq(power - count),
        ]
        normal, code, marks = pipe.cut("normal", normal, code, marks)

        # Below the least exponent the number shifts to the right; beyond `reach` only the sticky bit is left.
        reach = (1 << (frac + 2).bit_length()) - 1
        steps = reach.bit_length()
        under, short, shift = Signal(), Signal(len(power)), Signal(steps)
        shifted, base = Signal(frac + 3 + reach), Signal(len(power))
        m.d.comb += [
            under.eq(code <= offset),
            short.eq(offset + 1 - code),
            shift.eq((short[:steps] | (short[steps:] != 0).replicate(steps)) & under.replicate(steps)),
            shifted.eq(Cat(Const(0, reach), normal[:frac] != 0, normal[frac:]) >> shift),
            # Only a product of zero has no leading one.
            base.eq((code - offset) & (normal[-1] & ~under).replicate(len(power))),
        ]
        return Cat(shifted[:reach + 1] != 0, shifted[reach + 1:-1]), base, marks
