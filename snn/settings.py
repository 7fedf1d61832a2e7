"""What a user may set about the neurons and the training, checked when it is made."""

from dataclasses import dataclass
from numbers import Integral, Real
from sys import float_info

from trident.hw.errors import TridentError
from trident.hw.isa.config import RESETS, SURROGATES

MAX_TIMESTEPS = 32
MAX_LOSS_SCALE = 2**15


@dataclass(frozen=True)
class NeuronSettings:
    """The leaky integrate-and-fire neuron and the surrogate of its derivative.

    With potential u, input x and spike s:

    - hard reset: ``u[t] = leak * u[t-1] * (1 - s[t-1]) + x[t]``
    - soft reset: ``u[t] = leak * (u[t-1] - threshold * s[t-1]) + x[t]``
    - ``s[t] = 1`` where ``u[t] >= threshold``
    - rectangle: ``m = 1`` where ``threshold - window < u < threshold + window``, else 0
    - triangle: ``m = max(0, 1 - |u - threshold| / window)``

    ``leak`` is within 0 to 1, ``threshold`` and ``window`` are above 0, all in the unit of the potential.
    Raises :class:`TridentError` for anything else.
    """

    leak: float = 0.5
    threshold: float = 0.5
    window: float = 1.5
    reset: str = "hard"
    surrogate: str = "rectangle"

    def __post_init__(self):
        if not 0 <= _number("leak", self.leak) <= 1:
            raise TridentError(f"leak must be within 0 to 1, not {self.leak}")
        _positive("threshold", self.threshold)
        _positive("window", self.window)
        _choice("reset", self.reset, RESETS)
        _choice("surrogate", self.surrogate, SURROGATES)


@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained: stochastic gradient descent with momentum on minibatches.

    The gradient g of a minibatch is summed over its samples and carries the loss scale:
    ``v = momentum * v + g`` and ``W -= step * v`` with ``step = learning_rate / (loss_scale * batch)``, the learning
    rate halved after every ``halve_every`` epochs (0: never). The defaults make every step a power of two, so that
    multiplying by it only shifts the exponent.

    ``timesteps`` is within 1 to 32, ``loss_scale`` a power of two within 1 to 32768, ``momentum`` at least 0 and
    below 1, ``seed`` within 0 to 2**32 - 1. Raises :class:`TridentError` for anything else.
    """

    timesteps: int = 8
    epochs: int = 10
    batch: int = 16
    learning_rate: float = 0.5
    momentum: float = 0.9
    loss_scale: int = 256
    seed: int = 0
    halve_every: int = 3

    def __post_init__(self):
        _whole("timesteps", self.timesteps, 1, MAX_TIMESTEPS)
        _whole("epochs", self.epochs, 1)
        _whole("batch", self.batch, 1)
        _positive("learning rate", self.learning_rate)
        if not 0 <= _number("momentum", self.momentum) < 1:
            raise TridentError(f"momentum must be at least 0 and below 1, not {self.momentum}")
        _whole("seed", self.seed, 0, 2**32 - 1)
        _whole("halve_every", self.halve_every, 0)
        scale = _number("loss scale", self.loss_scale)
        if scale != int(scale) or not 1 <= scale <= MAX_LOSS_SCALE or int(scale) & (int(scale) - 1):
            raise TridentError(f"loss scale must be a power of two within 1 to {MAX_LOSS_SCALE}, not {self.loss_scale}")

    def halvings(self, epoch: int) -> int:
        """How often the learning rate has been halved before the given epoch (from 0)."""
        return epoch // self.halve_every if self.halve_every else 0

    def rate(self, epoch: int) -> float:
        """The learning rate of the given epoch."""
        return self.learning_rate / 2 ** self.halvings(epoch)

    def step(self, epoch: int = 0) -> float:
        """What the momentum is multiplied by before it is taken from a weight, in the given epoch."""
        return self.rate(epoch) / (self.loss_scale * self.batch)


def _number(name: str, value) -> float:
    real = isinstance(value, Real) and not isinstance(value, bool)
    # Compared, not converted, because a Python integer may be beyond every float.
    if not real or not -float_info.max <= value <= float_info.max:
        raise TridentError(f"{name} must be a finite number, not {value!r}")
    return value


def _positive(name: str, value):
    if _number(name, value) <= 0:
        raise TridentError(f"{name} must be above 0, not {value}")


def _whole(name: str, value, low: int, high: int | None = None):
    limits = f"of at least {low}" if high is None else f"within {low} to {high}"
    integral = isinstance(value, Integral) and not isinstance(value, bool)
    if not integral or value < low or (high is not None and value > high):
        raise TridentError(f"{name} must be a whole number {limits}, not {value!r}")


def _choice(name: str, value, allowed: tuple[str, ...]):
    if value not in allowed:
        raise TridentError(f"{name} must be {' or '.join(allowed)}, not {value!r}")
