"""What a user may set about a federated run, checked when it is made."""

from dataclasses import dataclass
from numbers import Integral, Real

from trident.hw.errors import TridentError

SPLITS = "iid, dirichlet:ALPHA (as in dirichlet:0.3) or by-class"
STRATEGIES = "fedavg or fedprox:MU (as in fedprox:0.01)"
MAX_WORKERS = 256


@dataclass(frozen=True)
class FederatedSettings:
    """How workers learn together.

    workers: chips, each with its own part of the training samples. rounds: of local training and averaging.
    local_epochs: passes over its own part that a worker makes in a round. split: see
    :func:`split`. strategy: ``fedavg``, or ``fedprox:MU``, which adds MU / 2 times the squared
    distance from the round's global weights to the loss of every sample. fraction: share of the workers that take part
    in a round, drawn with the run's seed.
    min_workers: a round with fewer good answers ends the run; by default 2, or as many as take part.
    timeout: seconds that a round may take. Raises :class:`TridentError` for anything else.
    """

    workers: int = 5
    rounds: int = 10
    local_epochs: int = 2
    split: str = "iid"
    strategy: str = "fedavg"
    fraction: float = 1.0
    min_workers: int | None = None
    timeout: float = 300.0

    def __post_init__(self):
        _whole("workers", self.workers, MAX_WORKERS)
        _whole("rounds", self.rounds)
        _whole("local epochs", self.local_epochs)
        parse_split(self.split)
        _ = self.mu
        if not 0 < _number("fraction", self.fraction) <= 1:
            raise TridentError(f"fraction must be above 0 and at most 1, not {self.fraction}")
        if _number("timeout", self.timeout) <= 0:
            raise TridentError(f"timeout must be above 0 seconds, not {self.timeout}")
        if self.min_workers is None:
            object.__setattr__(self, "min_workers", min(2, self.participants))
        _whole("min_workers", self.min_workers)
        if self.min_workers > self.participants:
            raise TridentError(
                f"min_workers of {self.min_workers} is more than the {self.participants} workers that take part in a "
                f"round"
            )

    @property
    def participants(self) -> int:
        """Workers that take part in a round: fraction * workers, rounded, at least one."""
        return max(round(self.fraction * self.workers), 1)

    @property
    def mu(self) -> float:
        """Weight of the proximal term; 0 for fedavg."""
        name, colon, text = self.strategy.partition(":")
        if name == "fedavg" and not colon:
            return 0.0
        value = _float(text) if name == "fedprox" else None
        if value is None or value <= 0:
            raise TridentError(f"strategy must be {STRATEGIES}, not {self.strategy!r}")
        return value


def parse_split(text: str) -> tuple[str, float]:
    """The kind of a split and its alpha (0 where it has none). Raises :class:`TridentError` for anything else."""
    kind, colon, alpha = text.partition(":")
    if kind in ("iid", "by-class") and not colon:
        return kind, 0.0
    value = _float(alpha) if kind == "dirichlet" else None
    if value is None or value <= 0:
        raise TridentError(f"split must be {SPLITS}, not {text!r}")
    return kind, value


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value < float("inf") else None


def _number(name: str, value) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not abs(value) < float("inf"):
        raise TridentError(f"{name} must be a finite number, not {value!r}")
    return value


def _whole(name: str, value, high: int | None = None):
    limits = "of at least 1" if high is None else f"within 1 to {high}"
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1 or (high is not None and value > high):
        raise TridentError(f"{name} must be a whole number {limits}, not {value!r}")
