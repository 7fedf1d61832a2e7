"""The command ``bench``: measure, print a table, put the figures into build/bench.json."""

from collections.abc import Iterable, Mapping

import click
from rich.table import Column, Table

from trident.bench.chip.engines import measure_engines
from trident.bench.chip.exact import measure_exact
from trident.bench.chip.fpga import measure_fpga
from trident.bench.chip.link import measure_link
from trident.bench.chip.meshes import measure_deep, measure_speedup
from trident.bench.chip.noc import measure_noc
from trident.bench.energy.gates import measure_gates
from trident.bench.energy.steps import measure_energy
from trident.bench.mapping.balance import measure_balance
from trident.bench.mapping.coverage import measure_coverage
from trident.bench.mapping.latency import measure_latency
from trident.bench.mapping.placement import measure_deep_gap, measure_pipelines, measure_qap, measure_training
from trident.bench.record import RECORD, RESULT, Measured, measured, merge, read
from trident.bench.training.federated import measure_federated
from trident.bench.training.golden import measure_golden
from trident.bench.training.gradients import measure_gradients
from trident.bench.training.rounding import measure_rounding
from trident.bench.training.runs import (
    measure_adam,
    measure_digits,
    measure_long,
    measure_norms,
    measure_overlap,
    measure_pools,
)
from trident.bench.training.vowels import measure_vowels
from trident.host.report.figure import Figure, selected
from trident.host.report.terminal import terminal
from trident.hw.errors import TridentError

WORSE = 0.03  # of the recorded figure: what is worse by more is marked

# Each group of figures is measured together
GROUPS = {
    "core.forward": measure_engines,
    "core.backward": measure_engines,
    "core.weight_grad": measure_engines,
    "core.step": measure_overlap,
    "core.bn": measure_norms,
    "core.pool": measure_pools,
    "golden": measure_golden,
    "train.digits": measure_digits,
    "train.digits.adam": measure_adam,
    "train.digits.t100": measure_long,
    "train.vowels": measure_vowels,
    "vector.neurons": measure_gradients,
    "energy.s-resnet18": measure_energy,
    "energy.reference": measure_energy,
    "energy.training": measure_energy,
    "energy.gates": measure_gates,
    "coverage": measure_coverage,
    "sim.core8": measure_digits,
    "chip.speedup20": measure_speedup,
    "chip.one_core": measure_speedup,
    "chip.twenty_cores": measure_speedup,
    "chip.deep": measure_deep,
    "chip.generate": measure_deep,
    "map.balance": measure_deep,
    "map.balance.": measure_balance,
    "map.placement_ratio": measure_deep,
    "map.zigzag_ratio": measure_deep,
    "map.prediction_error": measure_deep,
    "map.random_cycles": measure_deep,
    "map.qap": measure_qap,
    "map.deep": measure_deep_gap,
    "map.pipeline": measure_pipelines,
    "map.learned": measure_pipelines,
    "map.training": measure_training,
    "map.latency": measure_latency,
    "map.latency.deep_error": measure_deep,
    "sim.chip20": measure_deep,
    "exact": measure_exact,
    "gradients": measure_rounding,
    "noc": measure_noc,
    "link": measure_link,
    "federated": measure_federated,
    "fpga": measure_fpga,
    "cpu.spikingjelly": measure_fpga,
}


@click.command("bench")
@click.option("--only", default="", help="measure the figures whose names begin so, as in core.forward")
def bench_command(only: str):
    """Measure what the core reaches; every figure comes from the RTL or from a run in this call."""
    read(RESULT)  # refuses what the figures could not be put into, before they are measured
    recorded = read(RECORD)
    console = terminal()
    names = selected(list(GROUPS), only) if only else list(GROUPS)
    figures: list[Figure] = []
    for measure in dict.fromkeys(GROUPS[name] for name in names):
        with console.status(f"Measuring {', '.join(name for name in names if GROUPS[name] is measure)} ..."):
            figures += [figure for figure in measure(only) if figure.name.startswith(only)]
    if not figures:
        raise TridentError(f"no figure's name begins with {only!r}")
    console.print(compared(figures, recorded))
    merge(RESULT, measured(figures))
    click.echo(f"Written to {RESULT}")



def compared(figures: Iterable[Figure], recorded: Mapping[str, Measured]) -> Table:
    """A table of figures, each beside the one that was recorded last, with the difference in percent of that; one that
    is worse by more than 3 % is marked."""
    table = Table(
        Column("figure", overflow="fold"), "value", "recorded", "change", "unit", "better", "bound",
        box=None, header_style="bold",
    )  # fmt: skip
    for figure in figures:
        reached = {None: "", True: "reached", False: "MISSED"}[figure.reached]
        bound = "" if figure.bound is None else f"{figure.bound:g} {reached}"
        before, change = recorded.get(figure.name), ""
        if before and before.value:
            share = figure.value / before.value - 1
            worse = (-share if figure.better == "higher" else share) > WORSE
            change = f"{share:+.1%}" + (" WORSE" if worse else "")
        value = "" if before is None else f"{before.value:,.6g}"
        table.add_row(figure.name, f"{figure.value:,.6g}", value, change, figure.unit, figure.better, bound)
    return table
