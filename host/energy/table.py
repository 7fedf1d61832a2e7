"""Tables of pJ per operation and memory access, as JSON files; docs/energy.md describes the format."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trident.host.energy.counts import MEMORIES, OPERATIONS, Counts
from trident.hw.errors import TridentError

FOLDER = Path(__file__).parent / "tables"
TABLES = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))
"""The tables that come with Trident, by name."""

DEFAULT = "neuromc"

UNITS = {"fJ": 1e-3, "pJ": 1.0, "nJ": 1e3}
MOST, WIDEST = 1e9, 1 << 16  # of an entry, in its unit; of a port, in bits


@dataclass(frozen=True)
class Port:
    """An access of ``bits`` bits of a memory takes ``read`` or ``write`` pJ."""

    bits: int
    read: float
    write: float


@dataclass(frozen=True)
class EnergyTable:
    """What operations and accesses cost.

    name: as reports call it; source: where its figures are from; operations: pJ of each of :data:`OPERATIONS`;
    memories: the port of each of :data:`MEMORIES`.
    """

    name: str
    source: str
    operations: dict[str, float]
    memories: dict[str, Port]

    @classmethod
    def load(cls, name: str | Path) -> "EnergyTable":
        """A table that comes with Trident, by its name, or a JSON file. Raises :class:`TridentError` for a file that
        cannot be read, that lacks an entry or has one more, and for values that are no energy."""
        path = FOLDER / f"{name}.json" if str(name) in TABLES else Path(name)
        try:
            values = json.loads(path.read_text(), object_pairs_hook=lambda pairs: _once(pairs, path))
        except OSError as fault:
            known = ", ".join(TABLES)
            raise TridentError(
                f"energy table {str(name)!r} cannot be read ({fault.strerror}): name a JSON file or one of {known}"
            ) from None
        except TridentError:
            raise
        except (ValueError, RecursionError) as fault:
            raise TridentError(f"energy table {path} is no JSON: {fault}") from None
        return cls._checked(values, lambda what: TridentError(f"energy table {path}: {what}"))

    @classmethod
    def _checked(cls, values, fault: Callable[[str], TridentError]) -> "EnergyTable":
        _entries(values, ("name", "source", "unit", "operations", "memories"), "the table", fault)
        for name in ("name", "source"):
            if not isinstance(values[name], str) or not values[name].strip() or not values[name].isprintable():
                raise fault(f"{name} must be a line of text, not {_short(values[name])}")
        unit = values["unit"]
        if not isinstance(unit, str) or unit not in UNITS:
            raise fault(f"unit {_short(unit)} is not known: {', '.join(UNITS)}")
        _entries(values["operations"], OPERATIONS, "operations", fault)
        operations = {
            name: _energy(values["operations"][name], f"operations.{name}", fault) * UNITS[unit] for name in OPERATIONS
        }
        _entries(values["memories"], MEMORIES, "memories", fault)
        memories = {}
        for name in MEMORIES:
            port, where = values["memories"][name], f"memories.{name}"
            _entries(port, ("port_bits", "read", "write"), where, fault)
            bits = port["port_bits"]
            if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= WIDEST:
                raise fault(f"{where}.port_bits must be a whole number from 1 to {WIDEST}, not {_short(bits)}")
            costs = (_energy(port[access], f"{where}.{access}", fault) * UNITS[unit] for access in ("read", "write"))
            memories[name] = Port(bits, *costs)
        return cls(values["name"], values["source"], operations, memories)

    def price(self, counts: Counts) -> dict[str, float]:
        """pJ of ``counts``: those of all operations as ``compute``, and of every memory that was accessed."""
        energy = {"compute": sum(self.operations[name] * count for name, count in counts.operations.items())}
        for name, port in self.memories.items():
            if counts.read[name] or counts.written[name]:
                energy[name] = (counts.read[name] * port.read + counts.written[name] * port.write) / port.bits
        return energy

    def total(self, counts: Counts) -> float:
        """pJ of ``counts`` in all."""
        return sum(self.price(counts).values())


def _once(pairs: list[tuple[str, object]], path: Path) -> dict:
    """A mapping of a file, in which no entry may be twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TridentError(f"energy table {path}: {_short(twice)} is there twice")
    return values


def _entries(values, names, where: str, fault: Callable[[str], TridentError]):
    """Refuse anything but a mapping with exactly these names."""
    if not isinstance(values, dict):
        raise fault(f"{where} must be a mapping, not {_short(values)}")
    if missing := [name for name in names if name not in values]:
        raise fault(f"{where} lacks {', '.join(missing)}")
    if unknown := [name for name in values if name not in names]:
        raise fault(f"{where} has an unknown entry {_short(unknown[0])}: {', '.join(names)}")


def _energy(value, where: str, fault: Callable[[str], TridentError]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise fault(f"{where} must be a number, not {_short(value)}")
    if value < 0:
        raise fault(f"{where} is negative: {_short(value)}")
    if value > MOST:
        raise fault(f"{where} must be at most {MOST:g}, not {_short(value)}")
    return float(value)


def _short(value) -> str:
    """What a file has instead of what it should, within a sentence."""
    text = json.dumps(value) if isinstance(value, list | dict) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
