"""What nextpnr says of a design: cells used and there are, and the clocks it reaches."""

import json
import re
from dataclasses import dataclass

from boards.families import Family
from hw.errors import TridentError

_CELLS = re.compile(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%$", re.MULTILINE)
# What yosys appends to the name of a register when it maps it to a cell
_MAPPED = re.compile(r"_(?:TRELLIS_|SB_|LUT|DFF|CCU2C|DP16KD|MULT18X18D|ALU)")
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


def _slowest(report: dict, clock: str) -> str:
    """Start and end of a clock's longest path, by the names of the registers that yosys has kept."""
    edge = f"posedge {clock}"
    for path in report.get("critical_paths", []):
        if path["from"] == path["to"] == edge:
            ends = (path["path"][0]["from"]["cell"], path["path"][-1]["to"]["cell"])
            return " to ".join(_MAPPED.split(end)[0] for end in ends)
    return ""


def read_clocks(report: str) -> list[Clock]:
    """The clocks of nextpnr's report in JSON, slowest first.

    Raises :class:`TridentError` for a report without clocks.
    """
    try:
        found = json.loads(report)
        clocks = [
            Clock(_plain(name), round(entry["achieved"], 2), round(entry["constraint"], 2), _slowest(found, name))
            for name, entry in found["fmax"].items()
        ]
    except (ValueError, KeyError, TypeError):
        raise TridentError("nextpnr's report has no clocks") from None
    if not clocks:
        raise TridentError("nextpnr's report has no clocks")
    return sorted(clocks, key=lambda clock: clock.fmax_mhz / clock.target_mhz)
