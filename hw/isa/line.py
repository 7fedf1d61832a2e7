"""The serial line: what a UART can make of a clock."""

from trident.hw.errors import TridentError

LEAST = 8  # cycles of a bit: enough to find its middle
ERROR = 0.002  # of the baud rate
BYTE_BITS = 10  # on the line: start, eight of data, stop
WIDEST = 24


def divider(clock_hz: int, baud: int) -> tuple[int, int]:
    """Width and step of a phase accumulator that overflows ``baud`` times per second, within :data:`ERROR`.

    Raises :class:`TridentError` for a pair that has fewer than :data:`LEAST` cycles per bit or needs a wider one than
    :data:`WIDEST`.
    """
    if baud < 1 or clock_hz < LEAST * baud:
        raise TridentError(
            f"a clock of {clock_hz} Hz is too slow for {baud} baud: at least {LEAST} cycles per bit are needed, so at "
            f"most {max(clock_hz // LEAST, 0)} baud"
        )
    for width in range(4, WIDEST + 1):
        step = round((baud << width) / clock_hz)
        if step and abs(step * clock_hz / (baud << width) - 1) <= ERROR:
            return width, step
    raise TridentError(f"{baud} baud cannot be made from a clock of {clock_hz} Hz: it is too many times faster")
