"""One bit of many: the operations of every search for work, written on whole words."""

from amaranth.hdl import Cat, Mux

FEW = 6  # bits for which looking at all lower ones is quicker than a carry chain


def lowest_bit(value):
    """The lowest bit that is set, alone; 0 for 0."""
    if len(value) <= FEW:
        return Cat(value[n] & ~value[:n].any() if n else value[0] for n in range(len(value)))
    return (value & -value)[: len(value)]


def with_bit(value, number, bit, width):
    """``value`` with the bit of that number replaced."""
    one = (1 << number)[:width]
    return Mux(bit, value | one, value & ~one)


def bit_number(one):
    """The number of the only bit that is set; 0 for 0."""
    width = len(one)
    return Cat(
        (one & sum(1 << n for n in range(width) if n >> k & 1)).any() for k in range(max((width - 1).bit_length(), 1))
    )
