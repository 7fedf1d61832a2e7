"""One measured figure, in the form that benchmark trackers read."""

from dataclasses import dataclass

from trident.hw.errors import TridentError


@dataclass(frozen=True)
class Figure:
    """``name`` in dots, ``unit``, ``value``, whether ``"higher"`` or ``"lower"`` is better, and the bound it must
    reach.
    """

    name: str
    unit: str
    value: float
    better: str
    bound: float | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the bound holds; None without a bound."""
        if self.bound is None:
            return None
        return self.value >= self.bound if self.better == "higher" else self.value <= self.bound


def selected(names: list[str], prefix: str) -> list[str]:
    """The names that begin with ``prefix``, and those that it begins with. Raises TridentError if there are none."""
    found = [name for name in names if name.startswith(prefix) or prefix.startswith(name)]
    if not found:
        raise TridentError(f"no figure begins with {prefix!r}: they begin with {', '.join(names)}")
    return found
