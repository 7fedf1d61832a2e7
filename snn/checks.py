"""Checks of what a user sets, each with its sentence."""

from numbers import Integral, Real
from sys import float_info

from trident.hw.errors import TridentError


def number(name: str, value) -> float:
    """The value. Raises :class:`TridentError`, naming it, unless it is a finite number."""
    real = isinstance(value, Real) and not isinstance(value, bool)
    # Compared, not converted, because a Python integer may be beyond every float.
    if not real or not -float_info.max <= value <= float_info.max:
        raise TridentError(f"{name} must be a finite number, not {value!r}")
    return value


def parsed(text: str) -> float | str:
    """The number that a text says, or the text where it says none."""
    try:
        return float(text)
    except ValueError:
        return text


def positive(name: str, value):
    """Raise :class:`TridentError` unless the value is a number above 0."""
    if number(name, value) <= 0:
        raise TridentError(f"{name} must be above 0, not {value}")


def whole(name: str, value, low: int, high: int | None = None):
    """Raise :class:`TridentError` unless the value is a whole number within these limits."""
    limits = f"of at least {low}" if high is None else f"within {low} to {high}"
    integral = isinstance(value, Integral) and not isinstance(value, bool)
    if not integral or value < low or (high is not None and value > high):
        raise TridentError(f"{name} must be a whole number {limits}, not {value!r}")


def choice(name: str, value, allowed: tuple[str, ...]):
    """Raise :class:`TridentError`, with what is allowed, for another value."""
    if value not in allowed:
        raise TridentError(f"{name} must be {' or '.join(allowed)}, not {value!r}")
