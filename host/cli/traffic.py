"""The command ``traffic``: what leaves a chip in a training step, beside what a GPU moves for the same step."""

from collections import Counter

import click
from rich.table import Table

from trident.host.energy.dram import GPUS, ORDERS, Step, chip_traffic, gpu_traffic
from trident.host.report.terminal import terminal
from trident.hw.errors import TridentError
from trident.snn.network.network import Network

DEFAULT = "32x32x3-64c3-sew64-sew64-sew128s2-sew128-sew256s2-sew256-sew512s2-sew512-gap-10r"


def _table(title: str, found: dict[str, Counter], beside: dict[str, Counter]) -> Table:
    """A row for each way of a step: MB in all and by kind, and what it saves of those ``beside``."""
    kinds = list(dict.fromkeys(kind for counts in found.values() for kind in counts))
    table = Table("MB", *kinds, "all", *(f"of {name}" for name in beside), box=None, header_style="bold", title=title,
                  title_justify="left")  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    for name, counts in found.items():
        total = sum(counts.values())
        shares = [f"{100 * total / sum(other.values()):.1f} %" for other in beside.values()]
        table.add_row(name, *(_megabytes(counts[kind]) for kind in kinds), _megabytes(total), *shares)
    return table


def _megabytes(size: float) -> str:
    size /= 1e6
    return f"{size:,.0f}" if size >= 100 else f"{size:.3g}" if size else ""


@click.command("traffic")
@click.option("--net", default=DEFAULT, help="layers, as in 64-128-10 or 8x8x1-16c3-10, or a network file  [S-ResNet18 "
              "of 32x32 pixels]")
@click.option("--batch", type=int, default=16, help="samples of a minibatch", show_default=True)
@click.option("--timesteps", "-T", type=int, default=4, help="timesteps of a sample", show_default=True)
@click.option("--cores", type=int, default=20, help="cores of the chip", show_default=True)
@click.option("--memory", type=float, default=256, help="KiB of memory of a core", show_default=True)
def traffic_command(net, batch, timesteps, cores, memory):
    """Say what leaves a chip in a training step, by what it is, and what a GPU moves for the same step."""
    for name, value in {"batch": batch, "timesteps": timesteps, "cores": cores}.items():
        if value < 1:
            raise TridentError(f"{name} must be a whole number from 1 on, not {value}")
    if not 0 < memory < float("inf"):
        raise TridentError(f"memory must be a number of KiB above 0, not {memory:g}")
    network = Network.parse(net, bias=False)
    if any(layer.branches or layer.adds for layer in network.layers):
        raise TridentError("the model of traffic has no layers that add the sums of several nodes")
    step = Step(network, batch, timesteps, cores * memory * 1024)
    gpus = {gpu.name: gpu_traffic(step, gpu) for gpu in GPUS}
    fused = {gpu.name.split(", ")[1]: gpus[gpu.name] for gpu in GPUS if gpu.fused}
    chip = {name: chip_traffic(step, order) for name, order in ORDERS.items()}
    console = terminal()
    console.print(_table("The chip, by the order of its work; of a GPU with fused neurons", chip, fused))
    console.print()
    for name, order in ORDERS.items():
        console.print(f"{name}: {order.meaning}", soft_wrap=True)
    console.print()
    console.print(_table("A GPU without cache hits", gpus, {}))
