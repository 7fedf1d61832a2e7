"""Pipeline registers at chosen places of an arithmetic unit."""

from amaranth.hdl import Signal, Value

from trident.hw.errors import TridentError


class Pipeline:
    """Registers the values that cross a place of a data path, if the number of stages puts registers there.

    The registers have no reset and no enable: what leaves is what entered, one cycle later.

    Parameters
    ----------
    m : Module
        Receives the registers, in its `sync` domain.
    cuts : iterable of str
        Names of the places that get registers.
    """

    def __init__(self, m, cuts):
        self._m = m
        self._cuts = frozenset(cuts)

    def cut(self, place, *values):
        """The values as they are behind the place `place`: registered, or the same."""
        if place not in self._cuts:
            return values
        return tuple(self.register(f"{place}_{index}", value) for index, value in enumerate(values))

    def register(self, name, value):
        """The value one cycle later, in a register of that name."""
        value = Value.cast(value)
        register = Signal(value.shape(), name=name, reset_less=True)
        self._m.d.sync += register.eq(value)
        return register


def check_stages(unit, stages, cuts):
    """The places of registers for a number of stages, from a table with one entry for each; else a TridentError."""
    if not isinstance(stages, int) or isinstance(stages, bool) or stages not in cuts:
        raise TridentError(f"{unit} stages must be an integer from {min(cuts)} to {max(cuts)}, not {stages!r}")
    return cuts[stages]
