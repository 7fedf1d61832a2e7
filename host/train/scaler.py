"""The scales of gradients and of Adam's moments: halved when either overflow, as automatic mixed precision does."""

from dataclasses import dataclass
from typing import Self

from trident.hw.errors import TridentError
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.constants import UpdateConstants
from trident.snn.train_settings import SCALED, TrainSettings


@dataclass
class LossScaler:
    """What the next minibatch is computed with. Momenta carry the scale of the gradients they were made of, so after a
    halving the next update that is carried out takes half the momentum. Adam's moments have a scale of their own, which
    does not follow the loss scale: large gradients cost errors no precision.

    Attributes: ``scale``; ``carry``, what the momentum is multiplied by in the next update; ``skipped`` minibatches,
    and ``updates``, the others; ``power``, of two, that Adam sees a mean gradient with, None of other optimisers.
    """

    scale: float
    carry: float = 1.0
    skipped: int = 0
    updates: int = 0
    power: int | None = None

    @classmethod
    def of(cls, settings: TrainSettings) -> Self:
        """That of a run's first minibatch."""
        return cls(float(settings.loss_scale), power=SCALED if settings.adaptive else None)

    def constants(self, settings: TrainSettings, learning_rate: float, fmt: FloatFormat) -> UpdateConstants:
        """Constants for the next minibatch. Raises TridentError if Adam's moments overflowed where no gradient of the
        format can make them."""
        power = SCALED if self.power is None else self.power
        numbers = settings.numbers(learning_rate, self.scale, self.updates + 1, self.carry, power)
        # From there on, moments of the largest float would be below 1
        if self.power is not None and numbers["shrink"] < -(fmt.bias + 1):
            raise TridentError("updates overflow, however small the moments of Adam: lower the learning rate")
        if power < SCALED:  # an epsilon that was large enough at first is not refused now
            numbers["epsilon"] = max(numbers["epsilon"], 2.0 ** (1 - fmt.bias))
        return UpdateConstants.round(numbers, settings.batch, fmt)

    def possible(self, settings: TrainSettings) -> bool:
        """Whether a run with these settings can have come to it."""
        known = self.power is None or self.power <= SCALED
        own = settings.adaptive == (self.power is not None)
        return 0 < self.scale <= settings.loss_scale and 0 <= self.carry <= 1 and known and own

    def after(self, overflowed: bool, moments: bool = False):
        """Tell how the minibatch went; ``moments``: what overflowed is no gradient, but what the optimiser keeps.
        Raises TridentError when the loss scale has nothing left to halve."""
        if not overflowed:
            self.carry = 1.0
            self.updates += 1
            return
        self.skipped += 1
        if moments and self.power is not None:
            self.power -= 1
            self.carry /= 2
            return
        self.scale /= 2
        if self.power is None:
            self.carry /= 2
        if self.scale < 2.0**-14:
            raise TridentError(
                f"gradients or updates overflow at every loss scale down to {self.scale * 2}: lower the learning rate"
            )
