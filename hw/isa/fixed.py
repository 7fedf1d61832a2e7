"""The fixed-point numbers in which sums are exact."""

from dataclasses import dataclass

from trident.hw.isa.format import FloatFormat

EXACT_BITS = 53  # of a float64's significand, in which golden adds


@dataclass(frozen=True)
class FixedFormat:
    """Two's complement, ``bits`` wide; the last place counts for ``2**place``.

    A *term* is a float that is added. Where the last place is not above the float format's least subnormal, every
    finite float is one exactly; else it is rounded to the last place first, to nearest even.
    """

    bits: int
    place: int

    def unit_code(self, fmt: FloatFormat) -> int:
        """The exponent code of the floats whose last place is the sum's; 1 if the least subnormal is."""
        return self.place + fmt.bias + fmt.frac

    def limit(self, fmt: FloatFormat, terms: int, room: int = 0) -> int:
        """The least exponent code of a float that is too large for a sum of so many, at most that of infinity.

        Terms below it never leave the range, whatever their order, not even together with one number of up to a
        quarter of it where ``room`` is 1. May be 0 or less: then not even the least float fits.
        """
        return min((1 << fmt.exp) - 1, self.bits - 1 - room + self.place + fmt.bias - (terms - 1).bit_length())

    def magnitude_bits(self, fmt: FloatFormat) -> int:
        """Bits of the magnitude of any term that fits."""
        return max(self.limit(fmt, 1) - 1 - self.unit_code(fmt), 0) + fmt.frac + 1

    def of_pairs(self, fmt: FloatFormat) -> "FixedFormat":
        """As wide as the sum of any two floats needs, but no wider than this format."""
        return FixedFormat(min(self.bits, (1 << fmt.exp) + 1 - self.place - fmt.bias), self.place)
