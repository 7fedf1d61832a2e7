"""Real values as planes: the bits of whole numbers, each of which counts for a power of two."""

from dataclasses import dataclass
from math import frexp

from amaranth.hdl import signed
from amaranth.lib import data

from trident.hw.errors import TridentError

PLANES = 8  # bits of a value, at most
SHIFT = signed(4)  # the power of two of a plane
PLACES = range(-1 << SHIFT.width - 1, 1 << SHIFT.width - 1)
PLANES_JOB = data.StructLayout({"on": 1, "signed": 1, "place": SHIFT, "last": 3})
"""What a job's ``count`` says of the values that forward and weight_grad read; 0: they are spikes. Without ``on`` they
are one plane of values that change with time: spikes that count for ``2**place``, negative if ``signed``."""


@dataclass(frozen=True)
class Planes:
    """Values: whole numbers of ``bits`` bits, in two's complement if ``signed``, times ``2**place``.

    still: they stay the same over time, and a spike word has bit n of a number where it has the spike of timestep n
    otherwise; if not, each bit of a number at each timestep is a spike of its own, in ``words`` words.
    bits: 1 to 8; every plane counts for 2**-8 to 2**7. Raises :class:`TridentError` for anything else.
    """

    bits: int
    place: int
    signed: bool = False
    still: bool = True

    def __post_init__(self):
        if not 1 <= self.bits <= PLANES:
            raise TridentError(f"real values have 1 to {PLANES} bits, not {self.bits}")
        least, most = PLACES.start, PLACES.stop - self.bits
        if not least <= self.place <= most:
            raise TridentError(
                f"the last place of real values of {self.bits} bits counts for 2**{least} to 2**{most}, not for "
                f"2**{self.place}"
            )

    @classmethod
    def of_range(cls, low: float, high: float, bits: int, whole: bool = False, still: bool = True) -> "Planes":
        """The finest that hold values from ``low`` to ``high``; the largest may lie one place beyond their range,
        unless all are ``whole`` numbers, which are then exact if the bits suffice.

        Raises :class:`TridentError` for values beyond what planes count for.
        """
        negative, largest = low < 0, max(-low, high)
        significand, power = frexp(largest)  # which is below 2**power
        if significand == 0.5 and not (whole and high == largest):
            power -= 1
        place = max(power + negative - bits, PLACES.start)
        if place + bits > PLACES.stop:
            raise TridentError(
                f"real values go up to {largest:g}, more than the {1 << (1 << SHIFT.width - 1) - negative} that planes "
                f"hold: scale them down"
            )
        return cls(bits, place, negative, still)

    @classmethod
    def of_window(cls, size: int, average: bool) -> "Planes":
        """Those of the sum of the spikes of ``size`` x ``size`` pixels or, where they are a power of two, of their
        ``average``."""
        bits = (size**2).bit_length()
        return cls(bits, 1 - bits if average else 0, still=False)

    @property
    def counts(self) -> tuple[float, ...]:
        """What the planes count for, the lowest first."""
        return tuple(
            (-1.0 if self.signed and n == self.bits - 1 else 1.0) * 2.0 ** (self.place + n) for n in range(self.bits)
        )

    @property
    def words(self) -> int:
        """Spike words per pixel and block of channels."""
        return 1 if self.still else self.bits

    @property
    def job(self) -> int:
        """The bits of :data:`PLANES_JOB` of values that stay the same."""
        return planes_job(on=1, signed=int(self.signed), place=self.place, last=self.bits - 1)


def planes_job(**fields: int) -> int:
    """The bits of :data:`PLANES_JOB`."""
    return PLANES_JOB.const(fields).as_value().value
