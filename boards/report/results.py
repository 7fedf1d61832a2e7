"""``python -m trident.boards.report.results``: docs/boards.md from the reports beside this file, and figures
of them.

Reports of builds under build/fpga are taken over first: of the bitstream, or of the estimate where there
is none. Only what stands between
``<!-- results:fpga -->`` and ``<!-- end results:fpga -->`` is replaced.
"""

import re
import sys
from pathlib import Path

import click

from trident.boards.devices.board import RESOURCES
from trident.boards.flow.fits import too_big
from trident.boards.report.report import Report, read_report
from trident.host.report.figure import Figure
from trident.hw.errors import TridentError
from trident.hw.folders import OUT

REPORTS = Path(__file__).with_name("reports")
PAGE = Path("docs") / "boards.md"
EMPTY = "Nothing built yet: `make bitstream` builds, make fpga-results fills in."


def committed(folder: Path = REPORTS) -> dict[str, Report]:
    """The reports of a folder, by the name of their file. Raises :class:`TridentError` for a file that is none."""
    return {path.stem: read_report(path.read_text(), path.name) for path in sorted(folder.glob("*.json"))}


def figures(reports: dict[str, Report]) -> list[Figure]:
    """``fpga.<board>.<setup>.{lut,ff,bram,dsp,fmax_mhz,minutes}`` of every report."""
    found = []
    for report in reports.values():
        prefix = f"fpga.{report.board}.{report.setup}"
        found += [Figure(f"{prefix}.{name}", "cells", entry.used, "lower") for name, entry in report.use.items()]
        if report.clocks:
            found.append(Figure(f"{prefix}.fmax_mhz", "MHz", report.clocks[0].fmax_mhz, "higher"))
        found.append(Figure(f"{prefix}.minutes", "min", round(report.seconds / 60, 2), "lower"))
    return found


def measure_fpga(only: str) -> list[Figure]:
    """The figures of the reports, for the bench: those whose names begin with ``only``."""
    return [figure for figure in figures(committed()) if figure.name.startswith(only)]


def summary(report: Report) -> str:
    """One line: how full the part is and how fast the design."""
    over = [name.upper() for name in RESOURCES if report.use[name].share > 1]
    if over:
        return f"too big: {', '.join(f'{100 * report.use[name.lower()].share:.0f} % {name}' for name in over)}"
    cells = ", ".join(f"{100 * report.use[name].share:.0f} % {name.upper()}" for name in RESOURCES)
    return f"{cells}; {report.clocks[0].fmax_mhz:.1f} MHz" if report.clocks else cells


def table(reports: dict[str, Report]) -> str:
    """The reports as a Markdown table, with what they were made with."""
    if not reports:
        return EMPTY
    head = ["board", "set-up", "cores", "lanes", *(name.upper() for name in RESOURCES), "Fmax MHz", "target MHz",
            "minutes", "peak MiB", "seed", "date", "commit"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"| --- | --- |{' ---: |' * (len(head) - 2)}"]
    tools = set()
    for report in reports.values():
        cells = [f"{report.use[name].used:,} ({100 * report.use[name].share:.0f} %)" for name in RESOURCES]
        row = [report.board, report.setup, str(report.cores), str(report.lanes), *cells, _reached(report),
               f"{report.clock_hz / 1e6:g}", f"{report.seconds / 60:.1f}",
               f"{max(stage.memory_mib for stage in report.stages):,.0f}", str(report.seed), report.date,
               report.commit]  # fmt: skip
        lines.append(f"| {' | '.join(row)} |")
        tools |= {stage.tool for stage in report.stages}
    return "\n".join([*lines, "", f"Tools: {', '.join(sorted(tools))}."])


def _reached(report: Report) -> str:
    """The clock that a design reaches, or why there is none."""
    if report.clocks:
        clock = report.clocks[0]
        return f"{clock.fmax_mhz:.1f}" + ("" if clock.met else " **missed**")
    return "**does not fit**" if too_big(report.use) else "not placed"


def fill(text: str, made: str) -> str:
    """``text`` with its block of results replaced by ``made``."""
    block = re.compile(r"<!-- results:fpga -->\n.*?<!-- end results:fpga -->", re.DOTALL)
    return block.sub(lambda match: f"<!-- results:fpga -->\n{made}\n<!-- end results:fpga -->", text)


def take_over(built: Path, kept: Path):
    """Copy the report of every build under ``built`` to ``kept``: that of its bitstream, else of its estimate."""
    for folder in sorted(path for path in built.glob("*") if path.is_dir()):
        for name in ("report.json", "estimate.json"):
            path = folder / name
            report = read_report(path.read_text(), str(path)) if path.exists() else None
            if report and (report.file or not report.clocks):
                (kept / f"{folder.name}.json").write_text(report.text())
                break


@click.command()
def results():
    """Take over the reports of finished builds, and write the table of docs/boards.md."""
    try:
        REPORTS.mkdir(exist_ok=True)
        take_over(OUT / "fpga", REPORTS)
        PAGE.write_text(fill(PAGE.read_text(), table(committed())))
    except TridentError as fault:
        click.echo(f"error: {fault}", err=True)
        sys.exit(2)
    click.echo(f"Written to {PAGE} and {REPORTS}")


if __name__ == "__main__":
    results()
