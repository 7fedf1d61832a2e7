"""The formats of a core's sums and the rows that they travel as, from its configuration."""

from dataclasses import replace

from trident.hw.isa.fixed import EXACT_BITS, FixedFormat
from trident.hw.isa.limits import FLOAT_GRADIENTS


class ConfigSums:
    """What of :class:`~trident.hw.isa.config.CoreConfig` follows from its accumulators and gradients' width."""

    @property
    def fixed(self) -> FixedFormat:
        """In which sums are made."""
        return FixedFormat(self.accumulator_bits, max(self.accumulator_place, 1 - self.format.bias - self.frac))

    @property
    def exact(self) -> bool:
        """Whether gradients, and what cores sum for each other, are exact sums."""
        return self.gradient_bits > FLOAT_GRADIENTS

    @property
    def loss_fixed(self) -> FixedFormat:
        """In which a softmax adds exponentials, of any number of classes."""
        return FixedFormat(18 - self.fixed.place, self.fixed.place)

    @property
    def pass_fixed(self) -> FixedFormat:
        """In which the sums of passes are made."""
        return replace(self.fixed, bits=EXACT_BITS)

    @property
    def pass_rows(self) -> int:
        """Rows that a lane's sum of a pass travels as, from core to core."""
        return -(-self.pass_fixed.bits // self.width)

    def fixed_of(self, engine: str) -> FixedFormat:
        """In which the accumulators of an engine add."""
        wide = engine == "weight_grad" and self.exact
        return replace(self.fixed, bits=self.gradient_bits) if wide else self.fixed

    @property
    def sum_rows(self) -> int:
        """Rows that an exact sum travels as: the first has the lowest bits of all lanes."""
        return -(-max(self.accumulator_bits, self.gradient_bits) // self.width) if self.exact else 1

    @property
    def sum_bits(self) -> int:
        """Bits of a lane's sum that travels from core to core; those of a float where sums are rounded before."""
        return self.sum_rows * self.width

    @property
    def sum_row_bits(self) -> int:
        """Bits of a row of sums as it travels: ``sum_rows`` rows."""
        return self.sum_rows * self.row_bits

    @property
    def gradient_row_bits(self) -> int:
        """Bits of a row of gradients in their memory."""
        return self.lanes * self.gradient_bits if self.exact else self.row_bits

    @property
    def given_limit(self) -> int:
        """The exponent code from which on a number that a sum is given from elsewhere is too large."""
        return self.fixed.limit(self.format, 1, room=1)
