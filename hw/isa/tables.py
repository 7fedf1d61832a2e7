"""Function tables: a line per piece of a function of a number that is at least 0."""

from trident.hw.isa.format import FloatFormat

PIECE_BITS = 3  # of the fraction: a power of two has so many pieces


def piece_bits(fmt: FloatFormat) -> int:
    """Bits of a number, below its sign, that tell the pieces of a function apart."""
    return fmt.exp + PIECE_BITS
