"""What a build found, as report.json and as a table."""

import json
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from trident.boards.devices.board import RESOURCES
from trident.boards.flow.figures import Clock, Use
from trident.boards.flow.stages import Stage
from trident.hw.errors import TridentError


@dataclass(frozen=True)
class Report:
    """One build.

    board, setup, part: names; cores, lanes: of the design; clock_hz, baud: of its logic and of its serial line.
    use: cells by resource; clocks: none where it stopped before it was placed.
    stages: what was run; options: of yosys and nextpnr; seed: of the placement.
    date, commit: when it was built, and of which source; digest: of Verilog, constraints, tools and options.
    file, sha256: the bitstream's path and digest, empty without one.
    """

    board: str
    setup: str
    part: str
    cores: int
    lanes: int
    clock_hz: int
    baud: int
    use: dict[str, Use]
    clocks: list[Clock]
    stages: list[Stage]
    options: str
    seed: int
    date: str
    commit: str
    digest: str
    file: str = ""
    sha256: str = ""

    @property
    def timing_met(self) -> bool:
        return all(clock.met for clock in self.clocks)

    @property
    def seconds(self) -> float:
        """Wall time of all stages, in the runs that did them."""
        return sum(stage.seconds for stage in self.stages)

    def text(self) -> str:
        """The content of report.json."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read_report(text: str, name: str = "report.json") -> Report:
    """The report of a report.json. Raises :class:`TridentError` for a text that is none; ``name`` is that of the
    file."""
    try:
        found = json.loads(text)
        found["use"] = {resource: Use(**entry) for resource, entry in found["use"].items()}
        found["clocks"] = [Clock(**entry) for entry in found["clocks"]]
        found["stages"] = [Stage(**entry) for entry in found["stages"]]
        return Report(**found)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TridentError(f"{name} is not a report as make bitstream writes it") from None


def show(report: Report, console: Console):
    """Print tables of cells, clocks and stages, and where the file is."""
    cells = Table("cells", "used", "available", "share", box=None, header_style="bold")
    for resource in RESOURCES:
        entry = report.use[resource]
        cells.add_row(resource.upper(), f"{entry.used:,}", f"{entry.available:,}", f"{100 * entry.share:.1f} %")
    clocks = Table("clock", "reaches", "target", "", "longest path", box=None, header_style="bold")
    for clock in report.clocks:
        met = "met" if clock.met else "MISSED"
        reached, target = f"{clock.fmax_mhz:.2f} MHz", f"{clock.target_mhz:.2f} MHz"
        clocks.add_row(clock.name, reached, target, met, clock.slowest)
    stages = Table("stage", "time", "processor", "memory", "tool", box=None, header_style="bold")
    for stage in report.stages:
        again = " (done before)" if stage.cached else ""
        stages.add_row(
            stage.name + again, f"{stage.seconds:.1f} s", f"{stage.cpu_seconds:.1f} s", f"{stage.memory_mib:.0f} MiB",
            stage.tool,
        )  # fmt: skip
    for table in (cells, clocks, stages):
        if table.row_count:
            console.print(table)
            console.print()
    console.print(f"Seed {report.seed}; {report.options}", soft_wrap=True)
    if report.file:
        console.print(f"Bitstream: {report.file}", soft_wrap=True)
