"""What nextpnr says of a design: cells used and there are, and the clocks it reaches."""

import json
import re
from dataclasses import dataclass

from trident.boards.devices.families import Family
from trident.hw.errors import TridentError

_CELLS = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%$", re.MULTILINE)
# What yosys appends to the name of a register when it maps it to a cell
_MAPPED = re.compile(r"_(?:TRELLIS_|SB_|LUT|DFF|CCU2C|DP16KD|MULT18X18D|ALU)")
_CONSTANT = "$PACKER_GND_NET"
MULTIPLIER_NS = 8.0  # the longest way through an iCE40UP5K's multiplier, as Project IceStorm has it
_DECORATION = re.compile(r"\$(glbnet|TRELLIS_IO_IN|SB_IO_IN\w*|PACKER_\w+)\$?|\$\w+_IN$")


@dataclass(frozen=True)
class Use:
    """How many cells of a kind a design uses, and how many the part has."""

    used: int
    available: int

    @property
    def share(self) -> float:
        return self.used / self.available


@dataclass(frozen=True)
class Clock:
    """A clock: what it reaches and what it has to reach, in MHz; slowest: from where to where its longest path goes."""

    name: str
    fmax_mhz: float
    target_mhz: float
    slowest: str = ""

    @property
    def met(self) -> bool:
        return self.fmax_mhz >= self.target_mhz


def read_use(log: str, family: Family) -> dict[str, Use]:
    """Cells of a design by resource, from nextpnr's log; a resource that the family does not count apart is left out.

    Raises :class:`TridentError` for a log without such a table.
    """
    # The table of the whole device comes last; before packing there is another one
    table = log.rpartition("Device utilisation")[2]
    cells = {name: Use(int(used), int(there)) for name, used, there in _CELLS.findall(table)}
    found = {}
    for resource, name in family.cells.items():
        if name not in cells:
            raise TridentError(f"nextpnr's log does not tell how many {name} there are")
        found[resource] = cells[name]
    return found


def _plain(name: str) -> str:
    """The name of a clock without nextpnr's marks and without its path."""
    return _DECORATION.sub("", name).rpartition(".")[2]


def _ends(path: dict) -> str:
    """Start and end of a path, by the names of the registers that yosys has kept."""
    ends = (path["path"][0]["from"]["cell"], path["path"][-1]["to"]["cell"])
    return " to ".join(_MAPPED.split(end)[0] for end in ends)


def _longest(report: dict, clock: str) -> tuple[float, str]:
    """A clock's longest path: nanoseconds, twice those of a path between its two edges, and start and end.

    nextpnr takes an iCE40's multiplier without registers for one whose clock is a constant. So a path that goes through
    it is in two pieces, which are added here, with what the multiplier takes.
    """
    found, into, out_of = [(0.0, "")], [], []
    for path in report.get("critical_paths", []):
        (edge, _, start), (other, _, end) = (path[side].partition(" ") for side in ("from", "to"))
        took = sum(step["delay"] for step in path["path"])
        if start == end == clock:
            found.append((took if edge == other else 2 * took, _ends(path)))
        elif start == clock and _CONSTANT in end:
            into.append((edge, took, _ends(path)))
        elif end == clock and _CONSTANT in start:
            out_of.append((other, took, _ends(path)))
    for edge, took, name in into:
        for other, more, last in out_of:
            whole = took + MULTIPLIER_NS + more
            found.append((whole if edge == other else 2 * whole, f"{name.partition(' to ')[0]} to {last}"))
    return max(found)


def read_clocks(report: str) -> list[Clock]:
    """The clocks of nextpnr's report in JSON, slowest first.

    Raises :class:`TridentError` for a report without clocks.
    """
    try:
        found = json.loads(report)
        clocks = []
        for name, entry in found["fmax"].items():
            took, ends = _longest(found, name)
            achieved = min(entry["achieved"], 1000 / took) if took else entry["achieved"]
            clocks.append(Clock(_plain(name), round(achieved, 2), round(entry["constraint"], 2), ends))
    except (ValueError, KeyError, TypeError):
        raise TridentError("nextpnr's report has no clocks") from None
    if not clocks:
        raise TridentError("nextpnr's report has no clocks")
    return sorted(clocks, key=lambda clock: clock.fmax_mhz / clock.target_mhz)
