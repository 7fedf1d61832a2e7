"""The command ``gates``."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from trident.boards.asic.liberty import Library
from trident.boards.asic.measure import Measured, measure, refuse
from trident.boards.asic.scaling import NODES, TARGET, TARGET_VOLTAGE, scale
from trident.host.compile.sizing import parse_changes
from trident.host.energy.energy import layer_macs
from trident.host.report.terminal import terminal
from trident.hw.errors import TridentError
from trident.hw.isa.config import PRESETS, CoreConfig
from trident.snn.network.network import Network

LIBERTY = "/usr/share/qflow/tech/osu018/osu018_stdcells.lib"


def dense_macs(network: Network, timesteps: int) -> dict[str, int]:
    """Multiply-accumulates of a sample by engine, none left out for a zero."""
    layers = [layer_macs(layer, timesteps) for layer in network.layers]
    return {name: sum(macs[name] for macs in layers) for name in layers[0]}


def show(found: Measured, network: Network, timesteps: int, factor: float | None, console: Console):
    """Print area and energy by unit; ``factor`` is that of :func:`scale`."""
    macs = dense_macs(network, timesteps)
    scaled = [f"at {TARGET} nm"] if factor else []
    heads = ("unit", "gate equiv.", "flip-flops", "nJ/sample", "clocks", "pJ/MAC", *scaled)
    table = Table(*heads, box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, taken in found.units.items():
        each = taken.energy / found.samples
        per_mac = [each / macs[name], *([factor * each / macs[name]] if factor else [])] if macs.get(name) else []
        table.add_row(
            name, f"{taken.equivalents:,.0f}", f"{taken.flip_flops:,}", f"{each / 1e3:,.1f}",
            f"{100 * taken.clock / taken.energy:.0f} %", *(f"{value:,.2f}" for value in per_mac),
        )  # fmt: skip
    console.print(table)
    total = sum(taken.energy for taken in found.units.values()) / found.samples
    area, leakage = (sum(getattr(taken, name) for taken in found.units.values()) for name in ("equivalents", "leakage"))
    console.print(
        f"\n{found.samples} samples in {found.cycles:,} cycles: {total / 1e3:,.1f} nJ each, {area:,.0f} gate "
        f"equivalents, {leakage:.2f} µW of leakage. MACs are dense ones. Memories, sequencer, links to other cores and "
        "wires are left out.",
        soft_wrap=True,
    )
    if factor:
        console.print(f"{TARGET} nm at {TARGET_VOLTAGE} V is scaled, by a factor of {factor:.4f}, not measured.")


@click.command("gates")
@click.option(
    "--liberty", type=Path, default=Path(LIBERTY), show_default=True,
    help="standard cells; the default is of Debian's package qflow-tech-osu018",
)  # fmt: skip
@click.option("--net", default="6x6x4-8c3-5", help="layers, as in 64-128-10", show_default=True)
@click.option("--preset", default="SMALL", help=", ".join(PRESETS), show_default=True)
@click.option("--set", "changes", multiple=True, help="a field of the preset, as in lanes=4")
@click.option("--samples", type=click.IntRange(1, 64), default=4, help="of the minibatch", show_default=True)
@click.option("--density", type=click.FloatRange(0, 1), default=0.3, help="share of spikes", show_default=True)
@click.option("--check", "only_check", is_flag=True, help="only say whether it can be done: no tool is called")
@click.option("--node", type=int, help=f"nm, one of {', '.join(map(str, NODES))}: also scale to {TARGET} nm")
def gates_command(liberty, net, preset, changes, samples, density, node, only_check):
    """Say what a core takes in standard cells: area, and energy of a minibatch, unit by unit.

    yosys maps the units to cells, which takes minutes the first time; the netlist of each unit is given what came to
    its ports in a simulated minibatch, and must answer as the RTL did.
    """
    cfg, network = CoreConfig.preset(preset, **parse_changes(changes)), Network.parse(net)
    refuse(cfg)
    if only_check:
        if not liberty.is_file():
            raise TridentError(f"there is no file {liberty}")
        return
    library = Library.load(liberty)
    factor = scale(node, library.voltage) if node else None
    console = terminal()
    console.print(f"{preset} with {cfg.lanes} lanes, cells of {library.name}, {net}")
    show(measure(cfg, network, samples, library, density), network, cfg.timesteps, factor, console)
