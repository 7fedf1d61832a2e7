"""The command ``map``: partition, placement and predicted cycles of a network on a mesh, without simulating."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import click
from rich.console import Console
from rich.table import Table

from trident.host.cli.options import data_options, placing_options
from trident.host.compile.chip_plan import ChipPlan
from trident.host.compile.sizing import configure, fit_chip, parse_changes, roomiest
from trident.host.mapping.activity import measure_data
from trident.host.mapping.cost import CostModel
from trident.host.mapping.mapper import RANDOM, SAMPLES, SEEDS, Map, Row, check_choice, compare, make_map
from trident.host.mapping.placement import Placing
from trident.host.mapping.search import mesh_of
from trident.host.report.floorplan import core_label, floorplan_png, floorplan_svg
from trident.host.report.graph import COLUMNS, graph_png, graph_rows, graph_svg
from trident.host.report.terminal import terminal
from trident.host.train.spec import suit
from trident.hw.chip import check_pair
from trident.hw.files import check_folder, make_folder, write_whole
from trident.hw.folders import OUT
from trident.hw.isa.mesh import PROGRAMMED, MeshConfig, mesh_for
from trident.snn.data.dataset import check_fits
from trident.snn.data.dataset import load as load_data
from trident.snn.network.defaults import DEEP, PLAIN
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings


def write_drawings(result: Map, folder: Path) -> list[Path]:
    """Write the floor plan, that of the zigzag beside it, and the graph of the network, as SVG and as PNG. Raises
    :class:`TridentError` where that is not possible."""
    network, partition, placement = result.network, result.mapping.partition, result.placement
    files: dict[str, bytes] = {}
    for name, (svg, png), what in (
        ("floorplan", (floorplan_svg, floorplan_png), (network, partition, result.mesh, placement, result.load)),
        ("zigzag", (floorplan_svg, floorplan_png), (network, partition, result.mesh, *result.zigzag)),
        ("graph", (graph_svg, graph_png), (network, partition, placement)),
    ):
        files |= {f"{name}.svg": svg(*what).encode(), f"{name}.png": png(*what)}
    make_folder(folder)
    for name, octets in files.items():
        write_whole(folder / name, octets)
    return [folder / name for name in files]


def show_graph(result: Map, console: Console):
    """Print the nodes of the network and where they run."""
    table = Table(*COLUMNS, box=None, header_style="bold", title="the network", title_justify="left")
    table.columns[3].justify = "right"
    for row in graph_rows(result.network, result.mapping.partition, result.placement):
        table.add_row(row.node, row.what, row.output, row.parameters, row.where)
    console.print(table)
    console.print()


def show(result: Map, console: Console):
    """Print the tables of cores, what they hold and what they do, and the figures of the whole."""
    partition, prediction, cfg = result.mapping.partition, result.mapping.prediction, result.cfg
    holds = Table("layers", "channels", "mesh cores", "weight rows", "spike words", "error words", box=None,
                  header_style="bold", title=f"partition {partition}: one replica of {partition.replicas}",
                  title_justify="left")  # fmt: skip
    does = Table("layers", "channels", "adds", "multiply-adds", "forward", "backward", "weight_grad", box=None,
                 header_style="bold", title="operations and cycles per sample", title_justify="left")  # fmt: skip
    for column in (*holds.columns[3:], *does.columns[2:]):
        column.justify = "right"
    for member, core in enumerate(prediction.members):
        _, layers, channels = core_label(result.network, partition, member)
        places = [result.placement[r * partition.members + member] for r in range(partition.replicas)]
        holds.add_row(
            layers, channels or "all", " ".join(map(str, places)), f"{core.weight_rows}/{cfg.weight_rows}",
            f"{core.spike_words}/{cfg.spike_words} ({core.slots})",
            f"{core.error_words}/{cfg.error_words} ({core.error_slots})",
        )  # fmt: skip
        does.add_row(
            layers, channels or "all", f"{core.operations.adds:,.0f}", f"{core.operations.multiply_adds:,.0f}",
            f"{core.cycles.forward:,.0f}", f"{core.cycles.backward:,.0f}", f"{core.cycles.weight_grad:,.0f}",
        )  # fmt: skip
    console.print(holds)
    console.print("(n) behind words: samples whose spikes or errors the core holds at once\n")
    console.print(does)
    console.print()
    per_sample = result.per_sample
    for name, value in {
        "cores in use": f"{partition.cores} of {result.mesh.cores}",
        "balance of computation": f"{prediction.balance:.2f} (largest core / mean of those in use)",
        "balance of storage": f"{prediction.storage_balance:.2f}",
        "predicted cycles per sample": f"{per_sample:,.0f} at a batch of {prediction.batch}",
        "cores alone, a minibatch": f"{prediction.cycles:,.0f} cycles",
        "  of these the pipeline": f"{prediction.fill:,.0f}, then {prediction.period:,.0f} per sample of a replica",
        "  gradients, update": f"{prediction.reduction:,.0f}, {prediction.update:,.0f}",
        "hottest link in use": f"{100 * result.load.peak / per_sample:.1f} % of the time",
    }.items():
        console.print(f"{name:28} {value}", soft_wrap=True)
    console.print()


def show_placers(result: Map, rows: dict[str, Row], placing: Placing, console: Console):
    """Print what every placer makes of the traffic, and the chosen placement."""
    table = Table("placement", "flits x hops", "worst", "of random", "hottest link", "worst", "cycles", "seconds",
                  box=None, header_style="bold", title=f"placements for {placing.objective}, flits per sample: mean "
                  f"and worst of {SEEDS} seeds", title_justify="left")  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    hops, peak = result.random
    means = {
        f"{RANDOM} random": Row((hops,), (peak,), () if result.timing else (result.floor(peak),), 0.0),
        "chosen": Row((result.load.flit_hops,), (result.load.peak,), (result.per_sample,), 0.0),
    }
    for name, row in {**rows, **means}.items():
        mean = fmean(row.flit_hops)
        table.add_row(
            name, f"{mean:,.0f}", f"{max(row.flit_hops):,.0f}" if len(row.flit_hops) > 1 else "",
            f"{mean / hops if hops else 1:.3f}", f"{fmean(row.peaks):,.0f}",
            f"{max(row.peaks):,.0f}" if len(row.peaks) > 1 else "",
            f"{fmean(row.cycles):,.0f}" if row.cycles else "", f"{row.seconds:.2f}" if name in rows else "",
        )  # fmt: skip
    console.print(table)
    if not result.timing:
        console.print("cycles: those of the cores, or of the hottest link where that takes longer;")
        console.print("the objective latency counts them with the traffic in time")
    console.print()


@click.command("map")
@click.option("--net", help=f"layers  [{DEEP.net}]")
@data_options
@click.option("--mesh", "mesh_text", metavar="WxH", help="columns and rows of cores  [5x4]")
@click.option("--cores", type=int, help="use so many cores; without --mesh the squarest mesh of as many")
@click.option("--batch", type=int, help=f"samples of a minibatch  [{DEEP.train['batch']}]")
@click.option("--partition", help="replicas, stages and slices, as in 4x1-2,3/2,4  [the fastest that is found]")
@placing_options
@click.option("--seed", type=int, default=0, help="of weights, encoding and placement", show_default=True)
@click.option("--leak", type=float, help=f"what a neuron keeps from step to step  [{DEEP.neuron['leak']}]")
@click.option("--threshold", type=float, help=f"potential at which a neuron fires  [{DEEP.neuron['threshold']}]")
@click.option("--window", type=float, help=f"half width of the surrogate  [{DEEP.neuron['window']}]")
@click.option("--preset", default=DEEP.preset, help="core to start from, see presets", show_default=True)
@click.option("--timesteps", "-T", type=int, help="timesteps of a sample  [the preset's]")
@click.option("--lanes", type=int, help="output channels at once  [the preset's]")
@click.option("--cols", type=int, help="columns of all three engines  [the preset's]")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="any other parameter of the core")
@click.option("--out", type=Path, help="folder of the floor plan  [build/map]")
def map_command(net, data, bin_us, encoding, mesh_text, cores, batch, partition, placer, objective, budget,
                placement, seed, leak, threshold, window, preset, timesteps, lanes, cols, changes, out):  # fmt: skip
    """Show how a network is spread over a mesh of cores, and how fast that will be, without simulating it."""
    placing = Placing(placer, objective, budget, placement)
    placing.check()
    out = check_folder(out or OUT / "map")
    neuron = DEEP.neuron | {
        name: value
        for name, value in {"leak": leak, "threshold": threshold, "window": window}.items()
        if value is not None
    }
    own = {"timesteps": timesteps, "lanes": lanes, "cols": cols}
    core = parse_changes(changes) | {name: value for name, value in own.items() if value is not None}
    settings, fixed = NeuronSettings(**neuron), frozenset(core)
    if preset.upper() == DEEP.preset:
        core = DEEP.core | core
    cfg = configure(preset, **core)
    batch = DEEP.train["batch"] if batch is None else batch
    train = TrainSettings(timesteps=cfg.steps, batch=batch, seed=seed)
    mesh = mesh_for(cfg, mesh_of(mesh_text, cores, MeshConfig()))
    network = Network.parse(net or DEEP.net)
    encoding = encoding or PLAIN.encoding
    dataset = load_data(data, timesteps=cfg.steps, bin_us=bin_us, counted=encoding == "direct")
    check_fits(dataset, network, train)
    network, cfg = suit(network, cfg, settings, dataset, encoding)
    check_pair(cfg, mesh)
    check_choice(network, cfg.lanes, mesh, batch, cores, partition, placing)
    activity = measure_data(network, cfg, settings, dataset, SAMPLES, encoding, seed)
    cost = CostModel(network, roomiest(network, cfg, fixed), activity, mesh)
    result = make_map(cost, mesh, batch, cores, partition, placing, seed)
    found = result.mapping.partition
    cfg = fit_chip(network, found, cfg, fixed, batch)
    result = replace(result, cfg=cfg)
    if max(mesh.width, mesh.height) <= PROGRAMMED:
        ChipPlan(network, cfg, mesh, found, result.placement, batch)  # refuses what cannot be compiled
    console = terminal()
    show_graph(result, console)
    show(result, console)
    show_placers(result, compare(result, placing, seed), placing, console)
    if max(mesh.width, mesh.height) > PROGRAMMED:
        console.print(f"A forecast: cores are programmed on meshes of up to {PROGRAMMED}x{PROGRAMMED}.")
    for path in write_drawings(result, out):
        console.print(f"wrote {path}", soft_wrap=True)
