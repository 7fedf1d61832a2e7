"""Standard cells of a Liberty file: area, function, capacitance and energy of each."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trident.hw.errors import TridentError

SLEW = 0.18
"""Transition time of all inputs in ns."""

_MOST_INPUTS = 4


@dataclass(frozen=True)
class Curve:
    """Energy of a transition in pJ over the load of the output in pF; without loads the same for all."""

    loads: tuple[float, ...]
    energies: tuple[float, ...]

    def at(self, load: float) -> float:
        """Linear between points of the table, and as at its ends outside."""
        return float(np.interp(load, self.loads, self.energies)) if self.loads else self.energies[0]


@dataclass(frozen=True)
class Cell:
    """A cell with one output.

    area: in the library's unit; inputs: capacitance in pF by pin, in the order of the truth table; passive: energy in
    pJ of a transition of an input, by pin, whatever the output does; output: its pin; table: truth table, see
    :func:`truth_table`, or None for a flip-flop; switching: energy of a transition of the output without its load;
    clock: the pin of a flip-flop that is its clock; falling: it takes its input when the clock falls; leakage: in nW.
    """

    name: str
    area: float
    inputs: dict[str, float]
    passive: dict[str, float]
    output: str
    table: int | None
    switching: Curve
    clock: str | None = None
    falling: bool = False
    leakage: float = 0.0


@dataclass(frozen=True)
class Library:
    """The cells of a process by name; voltage in V; text: of the Liberty file."""

    name: str
    voltage: float
    cells: dict[str, Cell]
    text: str

    @classmethod
    def load(cls, path: Path) -> "Library":
        """Cells of one output and at most four inputs. Raises :class:`TridentError` for a file that cannot be read or
        is no Liberty, and where the package liberty-parser is missing."""
        try:
            from liberty.parser import parse_liberty
        except ImportError:
            raise TridentError("reading a Liberty file takes pip install '.[gates]'") from None
        try:
            text = path.read_text()
            library = parse_liberty(text)
            units = _units(library)
            cells = [_cell(group, *units) for group in library.get_groups("cell")]
            voltage = float(library["nom_voltage"])
        except OSError as fault:
            raise TridentError(f"{path} cannot be read: {fault.strerror}") from None
        except TridentError:
            raise
        except Exception as fault:  # the parser has no error of its own
            raise TridentError(f"{path} is no Liberty file that can be used: {_brief(fault)}") from None
        return cls(str(library.args[0]), voltage, {cell.name: cell for cell in cells if cell}, text)

    @property
    def nand(self) -> Cell:
        """The smallest NAND of two inputs, whose area is a gate equivalent."""
        return self._smallest("NAND of two inputs", lambda cell: cell.table == 0b0111 and len(cell.inputs) == 2)

    @property
    def conjunction(self) -> Cell:
        """The smallest AND of two inputs."""
        return self._smallest("AND of two inputs", lambda cell: cell.table == 0b1000 and len(cell.inputs) == 2)

    def flip_flop(self, falling: bool = False) -> Cell:
        """The smallest flip-flop with a clock and one input."""
        kind = f"flip-flop of a {'falling' if falling else 'rising'} clock without set and reset"
        return self._smallest(kind, lambda cell: cell.clock and len(cell.inputs) == 2 and cell.falling == falling)

    def _smallest(self, kind: str, wanted) -> Cell:
        found = [cell for cell in self.cells.values() if wanted(cell)]
        if not found:
            raise TridentError(f"the library {self.name} has no {kind}")
        return min(found, key=lambda cell: cell.area)


def _brief(fault: Exception) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0][:80]


def _units(library) -> tuple[float, float]:
    """What capacitances and energies of the file are multiplied by for pF and pJ. Energy is in V² times the unit of
    capacitance."""
    size, unit = library["capacitive_load_unit"]
    if library["voltage_unit"].value not in ("1V", "V"):
        raise TridentError(f"voltage_unit must be 1V, not {library['voltage_unit']}")
    farads = float(size) * {"pf": 1.0, "ff": 1e-3}[str(unit).lower()]
    return farads, farads


def _cell(group, farads: float, joules: float) -> Cell | None:
    """A cell of one output and at most four inputs, a gate or a flip-flop, else None."""
    pins = {_text(pin.args[0]): pin for pin in group.get_groups("pin")}
    outputs = [name for name, pin in pins.items() if pin["direction"] == "output"]
    inputs = [name for name, pin in pins.items() if pin["direction"] == "input"]
    flip_flop = next(iter(group.get_groups("ff")), None)
    if (
        len(outputs) != 1
        or len(inputs) > _MOST_INPUTS
        or group.get_groups("latch")
        or pins[outputs[0]].get("three_state")
    ):
        return None
    output, clock, table = pins[outputs[0]], None, None
    if flip_flop is None:
        table = truth_table(_text(output["function"]), inputs)
    else:
        clock = _text(flip_flop["clocked_on"])
    return Cell(
        _text(group.args[0]), float(group["area"]),
        {name: farads * float(pins[name]["capacitance"]) for name in inputs},
        {name: joules * _energy(pins[name]).at(0.0) for name in inputs},
        outputs[0], table, _scaled(_energy(output), farads, joules), clock and clock.strip("!() "),
        bool(clock) and "!" in clock, float(group.get("cell_leakage_power") or 0),
    )  # fmt: skip


def _text(value) -> str:
    return str(value).strip('"')


def _scaled(curve: Curve, farads: float, joules: float) -> Curve:
    return Curve(tuple(farads * load for load in curve.loads), tuple(joules * value for value in curve.energies))


def _energy(pin) -> Curve:
    """The mean of rising and falling, and of all related pins, at :data:`SLEW`."""
    found = []
    for power in pin.get_groups("internal_power"):
        for name in ("rise_power", "fall_power"):
            for table in power.get_groups(name):
                found.append(_curve(table))
    if not found:
        return Curve((), (0.0,))
    loads = max((curve.loads for curve in found), key=len)
    if not loads:
        return Curve((), (float(np.mean([curve.energies[0] for curve in found])),))
    return Curve(loads, tuple(float(np.mean([curve.at(load) for curve in found])) for load in loads))


def _curve(table) -> Curve:
    values = np.atleast_2d(table.get_array("values"))
    index = [
        np.atleast_1d(table.get_array(name)).ravel() for name in ("index_1", "index_2") if table.get(name) is not None
    ]
    if len(index) == 1:  # of an input: over its own transition time
        return Curve((), (float(np.interp(SLEW, index[0], values.ravel())),))
    loads, slews = index
    return Curve(tuple(loads.tolist()), tuple(float(np.interp(SLEW, slews, row)) for row in values))


def truth_table(function: str, inputs: list[str]) -> int:
    """The truth table of a function in Liberty's syntax, bit n for the inputs that n has as bits, the first lowest.

    Raises :class:`TridentError` for names that are no inputs.
    """
    from liberty.boolean_functions import parse_boolean_function

    formula = parse_boolean_function(function)
    if strange := {str(symbol) for symbol in formula.free_symbols} - set(inputs):
        raise TridentError(f"the function {function!r} has {min(strange)!r}, which is no input")
    found = 0
    for n in range(1 << len(inputs)):
        values = {name: bool(n >> bit & 1) for bit, name in enumerate(inputs)}
        found |= bool(formula.subs(values)) << n
    return found
