"""The loss scale: halved when a minibatch's gradient overflows, as automatic mixed precision does."""

from dataclasses import dataclass

from trident.hw.errors import TridentError
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.constants import UpdateConstants
from trident.snn.settings import TrainSettings


@dataclass
class LossScaler:
    """What the next minibatch is computed with. Momenta carry the scale of the gradients they were made of, so after a
    halving the next update that is carried out takes half the momentum.

    Attributes: ``scale``; ``carry``, what the momentum is multiplied by in the next update; ``skipped`` minibatches,
    and ``updates``, the others.
    """

    scale: float
    carry: float = 1.0
    skipped: int = 0
    updates: int = 0

    def constants(self, settings: TrainSettings, learning_rate: float, fmt: FloatFormat) -> UpdateConstants:
        """Constants for the next minibatch."""
        numbers = settings.numbers(learning_rate, self.scale, self.updates + 1, self.carry)
        return UpdateConstants.round(numbers, settings.batch, fmt)

    def possible(self, settings: TrainSettings) -> bool:
        """Whether a run with these settings can have come to it."""
        return 0 < self.scale <= settings.loss_scale and 0 <= self.carry <= 1

    def after(self, overflowed: bool):
        """Tell how the minibatch went. Raises TridentError when the scale has nothing left to halve."""
        if not overflowed:
            self.carry = 1.0
            self.updates += 1
            return
        self.skipped += 1
        self.scale /= 2
        self.carry /= 2
        if self.scale < 2.0**-14:
            raise TridentError(
                f"gradients or updates overflow at every loss scale down to {self.scale * 2}: lower the learning rate"
            )
