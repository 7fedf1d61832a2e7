"""The number format that adders, multipliers, memories and the golden model share."""

from dataclasses import dataclass

from amaranth.lib import data

from trident.hw.errors import TridentError

EXP_RANGE = (2, 8)
FRAC_RANGE = (1, 23)


@dataclass(frozen=True)
class FloatFormat:
    """A binary interchange format in the manner of IEEE 754: sign, biased exponent, fraction, most significant first.

    The largest exponent code stands for infinity and NaN, code 0 for zero and the subnormals. Every property but
    `width`, `bias` and `magnitude_mask` is a value of the format as raw bits; a port of it is `unsigned(width)`.

    Parameters
    ----------
    exp : int
        Width of the exponent in bits, 2 to 8.
    frac : int
        Width of the stored fraction in bits, 1 to 23; the precision is one bit more.

    Raises
    ------
    TridentError
        If a width is not an integer in its range.
    """

    exp: int
    frac: int

    def __post_init__(self):
        for name, (low, high) in (("exp", EXP_RANGE), ("frac", FRAC_RANGE)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise TridentError(f"FloatFormat {name} must be an integer from {low} to {high}, not {value!r}")

    @property
    def width(self):
        """Bits of one value."""
        return 1 + self.exp + self.frac

    @property
    def bias(self):
        """What is added to the exponent of a normal number to give its code."""
        return (1 << (self.exp - 1)) - 1

    @property
    def zero(self):
        """Positive zero."""
        return 0

    @property
    def negative_zero(self):
        """Negative zero; also the mask of the sign."""
        return 1 << (self.exp + self.frac)

    @property
    def magnitude_mask(self):
        """The mask of everything but the sign."""
        return self.negative_zero - 1

    @property
    def inf(self):
        """Positive infinity; also the mask of the exponent."""
        return ((1 << self.exp) - 1) << self.frac

    @property
    def nan(self):
        """The one NaN that arithmetic returns: positive, quiet, no payload (0x7E00 in binary16)."""
        return self.inf | 1 << (self.frac - 1)

    @property
    def one(self):
        """The number 1."""
        return self.bias << self.frac

    @property
    def min_subnormal(self):
        """The smallest positive number."""
        return 1

    @property
    def min_normal(self):
        """The smallest positive number of full precision."""
        return 1 << self.frac

    @property
    def max_finite(self):
        """The largest finite number."""
        return self.inf - 1

    def shape(self):
        """The fields of a value as an `amaranth.lib.data.StructLayout`: frac, exp, sign, `width` bits in all."""
        return data.StructLayout({"frac": self.frac, "exp": self.exp, "sign": 1})


FP16 = FloatFormat(5, 10)
"""IEEE 754 binary16."""

BF16 = FloatFormat(8, 7)
"""bfloat16: the exponent of binary32, eight bits of precision."""
