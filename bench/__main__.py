"""``python -m bench``: measure, print a table, write build/bench.json."""

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.chip import measure_deep, measure_speedup
from bench.engines import measure_engines
from bench.federated import measure_federated
from bench.figure import Figure, selected
from bench.fpga import measure_fpga
from bench.golden import measure_golden
from bench.link import measure_link
from bench.noc import measure_noc
from bench.training import measure_digits, measure_overlap
from hw.errors import TridentError

RESULT = Path("build") / "bench.json"

# Each group of figures is measured together
GROUPS = {
    "core.forward": measure_engines,
    "core.backward": measure_engines,
    "core.weight_grad": measure_engines,
    "core.step": measure_overlap,
    "golden": measure_golden,
    "train.digits": measure_digits,
    "sim.core8": measure_digits,
    "chip.speedup20": measure_speedup,
    "chip.one_core": measure_speedup,
    "chip.twenty_cores": measure_speedup,
    "chip.deep": measure_deep,
    "chip.generate": measure_deep,
    "map": measure_deep,
    "sim.chip20": measure_deep,
    "noc": measure_noc,
    "link": measure_link,
    "federated": measure_federated,
    "fpga": measure_fpga,
    "cpu.spikingjelly": measure_fpga,
}


@click.command()
@click.option("--only", default="", help="measure the figures whose names begin so, as in core.forward")
def bench(only: str):
    """Measure what the core reaches; every figure comes from the RTL or from a run in this call."""
    console = Console()
    try:
        names = selected(list(GROUPS), only) if only else list(GROUPS)
    except TridentError as fault:
        click.echo(f"error: {fault}", err=True)
        sys.exit(2)
    figures: list[Figure] = []
    for measure in dict.fromkeys(GROUPS[name] for name in names):
        with console.status(f"Measuring {', '.join(name for name in names if GROUPS[name] is measure)} ..."):
            figures += [figure for figure in measure(only) if figure.name.startswith(only)]
    if not figures:
        click.echo(f"error: no figure's name begins with {only!r}", err=True)
        sys.exit(2)
    table = Table("figure", "value", "unit", "better", "bound", box=None, header_style="bold")
    for figure in figures:
        reached = {None: "", True: "reached", False: "MISSED"}[figure.reached]
        bound = "" if figure.bound is None else f"{figure.bound:g} {reached}"
        table.add_row(figure.name, f"{figure.value:,.6g}", figure.unit, figure.better, bound)
    console.print(table)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([figure.record() for figure in figures], indent=1) + "\n")
    click.echo(f"Written to {RESULT}")


if __name__ == "__main__":
    bench()
