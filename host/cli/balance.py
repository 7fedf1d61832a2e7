"""The command ``balance``: a network cut as evenly as it can be for all cores of a mesh, as a forecast."""

from itertools import groupby

import click
from rich.console import Console
from rich.table import Table

from trident.host.cli.options import core_options, placing_options
from trident.host.compile.sizing import configure, parse_changes
from trident.host.mapping.balance.flows import pieces_of
from trident.host.mapping.balance.forecast import DENSITY, MIB, Forecast, balance
from trident.host.mapping.placement import Placing
from trident.host.mapping.search import mesh_of
from trident.host.report.terminal import terminal
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

DEFAULT = "224x224x3-64c7s2p6m3s2p1-sew64-sew64-sew128s2-sew128-sew256s2-sew256-sew512s2-sew512-gap-1000r"
CORE = {"lanes": 16, "words": 8, "accumulators": 64}
TIMESTEPS, BATCH = 4, 16


def show(result: Forecast, lanes: int, console: Console):
    """Print the table of layers and the figures of the whole."""
    found = result.found
    table = Table("layer", "what", "cut into", "cores", "of one replica", "MiB", "Mcycles", box=None,
                  header_style="bold", title=f"one replica of {result.replicas} on {found.cores} cores; memory of all "
                  "its pieces, cycles of their longest engine", title_justify="left")  # fmt: skip
    for name in (3, 5, 6):
        table.columns[name].justify = "right"
    pieces = pieces_of(result.network, found, lanes)
    for layer, demand, own in zip(result.network.layers, found.demands, pieces, strict=True):
        loads = sum(demand.loads[count] for count in found.pieces[layer.number].values())
        kind = "strips of rows" if demand.by_rows else "channels"
        table.add_row(
            layer.node, str(layer).partition(", kernel")[0], kind if len(own) > 1 else "", str(len(own)),
            _ranges([piece.core for piece in own]), f"{loads[3] / MIB:,.2f}", f"{max(loads[:3]) / 1e6:,.3g}",
        )  # fmt: skip
    console.print(table)
    console.print()
    link, load = result.load.peak, result.load.flit_hops
    in_time = " with its traffic in time" if result.cycles else ""
    for name, value in {
        "cores in use": f"{result.cores} of {result.mesh.cores}",
        "balance of computation": f"{found.work_balance:.3f} (largest core / mean)",
        "balance of storage": f"{found.storage_balance:.3f}",
        "memory of the largest core": f"{found.bits.max() / MIB:,.2f} MiB; of all {found.copies:.3f} times what the "
        "network takes on one",
        "predicted cycles per sample": f"{result.period:,.0f} in a full pipeline{in_time}: the busiest core "
        f"{found.work.max() / result.replicas:,.0f}, the hottest link {link:,.0f}",
        "flits x hops per sample": f"{load:,.0f}, {load / result.zigzag.flit_hops if load else 1:.3f} of the zigzag's",
    }.items():
        console.print(f"{name:28} {value}", soft_wrap=True)
    console.print(
        "\nA forecast: cores have no strips of rows, no pieces of several layers that are cut, and stages of four "
        "cores at the most; make map shows what they have.", soft_wrap=True
    )  # fmt: skip


def _ranges(cores: list[int]) -> str:
    """Ascending numbers, consecutive ones as in 3-7."""
    runs = [[core for _, core in run] for _, run in groupby(enumerate(cores), lambda pair: pair[1] - pair[0])]
    return " ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def core_for(network: Network, neuron: NeuronSettings, preset: str | None, changes: dict) -> CoreConfig:
    """A core for the forecast, of :data:`CORE` where no preset is named. Raises :class:`TridentError` as
    :func:`configure` does, and for one whose engines are one or whose samples are several chunks."""
    own = {} if preset else CORE
    cfg = configure(preset or "SMALL", **neuron.core(network.layers) | own | {"timesteps": TIMESTEPS} | changes)
    if cfg.shared_engine or cfg.chunks > 1:
        what = "three engines" if cfg.shared_engine else "spike words that hold all timesteps"
        raise TridentError(f"balance is forecast for cores with {what}")
    return cfg


@click.command("balance")
@click.option("--net", default=DEFAULT, help="layers, as in 64-128-10 or 8x8x1-16c3-10, or a network file  [S-ResNet18 "
              "of 224x224 pixels]")
@click.option("--bias/--no-bias", default=False, help="whether layers have biases  [no bias]")
@click.option("--mesh", "mesh_text", metavar="WxH", default="8x8", help="columns and rows of cores, up to 32x32",
              show_default=True)
@click.option("--batch", type=int, default=BATCH, help="samples of a minibatch", show_default=True)
@click.option("--density", type=float, default=DENSITY, help="share of spikes and errors that are not zero, drawn at "
              "random", show_default=True)
@click.option("--memory", type=float, help="KiB of memory of a core  [as much as is wanted]")
@click.option("--seed", type=int, default=0, help="of the placement", show_default=True)
@placing_options
@core_options
def balance_command(net, bias, mesh_text, batch, density, memory, seed, placer, objective, budget, placement, preset,
                    timesteps, lanes, cols, reset, surrogate, changes):  # fmt: skip
    """Cut a network of any size as evenly as is found for all cores of a mesh, in work and in memory: a forecast."""
    if placement is not None:
        raise TridentError("balance cuts the network first, so it takes a placer and no placement")
    placing = Placing(placer, objective, budget)
    placing.check()
    if batch < 1:
        raise TridentError(f"batch must be a whole number from 1 on, not {batch}")
    if seed < 0:
        raise TridentError(f"seed must be a whole number from 0 on, not {seed}")
    if not 0 < density <= 1:
        raise TridentError(f"density must be a number above 0, up to 1, not {density:g}")
    if memory is not None and not 0 < memory < float("inf"):
        raise TridentError(f"memory must be a number of KiB above 0, not {memory:g}")
    own = {"timesteps": timesteps, "lanes": lanes, "cols": cols}
    kinds = {"reset": reset, "surrogate": surrogate}
    neuron = NeuronSettings(**{name: value for name, value in kinds.items() if value is not None})
    network = Network.parse(net, bias)
    core = parse_changes(changes) | {name: value for name, value in own.items() if value is not None}
    cfg = core_for(network, neuron, preset, core)
    mesh = mesh_for(cfg, mesh_of(mesh_text, None, MeshConfig()))
    result = balance(network, cfg, mesh, batch, placing, seed, density, memory)
    show(result, cfg.lanes, terminal())
