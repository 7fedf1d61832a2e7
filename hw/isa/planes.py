"""Real values as planes: the bits of whole numbers, each of which counts for a power of two."""

from dataclasses import dataclass
from math import frexp

from amaranth.hdl import signed
from amaranth.lib import data

from trident.hw.errors import TridentError

PLANES = 8  # bits of a value, at most
SHIFT = signed(4)  # the power of two of a plane
PLANES_JOB = data.StructLayout({"on": 1, "signed": 1, "place": SHIFT, "last": 3})
"""What a job's ``count`` says of the values that forward and weight_grad read; 0: they are spikes."""


@dataclass(frozen=True)
class Planes:
    """Values that stay the same over time: whole numbers of ``bits`` bits, in two's complement if ``signed``, times
    ``2**place``. A spike word has bit n of a number where it has the spike of timestep n otherwise.

    bits: 1 to 8; every plane counts for 2**-8 to 2**7. Raises :class:`TridentError` for anything else.
    """

    bits: int
    place: int
    signed: bool = False

    def __post_init__(self):
        if not 1 <= self.bits <= PLANES:
            raise TridentError(f"real values have 1 to {PLANES} bits, not {self.bits}")
        least, most = -(1 << SHIFT.width - 1), (1 << SHIFT.width - 1) - self.bits
        if not least <= self.place <= most:
            raise TridentError(
                f"the last place of real values of {self.bits} bits counts for 2**{least} to 2**{most}, not for "
                f"2**{self.place}"
            )

    @classmethod
    def of_range(cls, low: float, high: float, bits: int, whole: bool = False) -> "Planes":
        """The finest that hold values from ``low`` to ``high``; the largest may lie one place beyond their range,
        unless all are ``whole`` numbers, which are then exact if the bits suffice.

        Raises :class:`TridentError` for values beyond what planes count for.
        """
        negative, largest = low < 0, max(-low, high)
        significand, power = frexp(largest)  # which is below 2**power
        if significand == 0.5 and not (whole and high == largest):
            power -= 1
        place = max(power + negative - bits, -(1 << SHIFT.width - 1))
        if place + bits > 1 << SHIFT.width - 1:
            raise TridentError(
                f"real values go up to {largest:g}, more than the {1 << (1 << SHIFT.width - 1) - negative} that planes "
                f"hold: scale them down"
            )
        return cls(bits, place, negative)

    @property
    def counts(self) -> tuple[float, ...]:
        """What the planes count for, the lowest first."""
        return tuple(
            (-1.0 if self.signed and n == self.bits - 1 else 1.0) * 2.0 ** (self.place + n) for n in range(self.bits)
        )

    @property
    def job(self) -> int:
        """The bits of :data:`PLANES_JOB`."""
        fields = {"on": 1, "signed": int(self.signed), "place": self.place, "last": self.bits - 1}
        return PLANES_JOB.const(fields).as_value().value
