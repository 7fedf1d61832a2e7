"""The command ``energy``: what training a network costs on a core, without simulating it."""

from collections import Counter
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from trident.host.cli.options import core_options, data_options
from trident.host.compile.sizing import parse_changes
from trident.host.energy.chip import require_counters
from trident.host.energy.energy import Energy, layer_macs
from trident.host.energy.forecast import forecast
from trident.host.energy.table import DEFAULT, TABLES, EnergyTable
from trident.host.mapping.activity import measure_data, random_activity
from trident.host.mapping.cost import CostModel
from trident.host.report.energy import energy_png, energy_svg
from trident.host.report.terminal import terminal
from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError
from trident.hw.files import check_folder, make_folder, write_whole
from trident.hw.folders import OUT
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_values
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.data.dataset import Dataset
from trident.snn.network.defaults import PLAIN, RECIPES
from trident.snn.network.network import Network, Tensors
from trident.snn.neuron_settings import NEURONS
from trident.snn.train_settings import OPTIMIZERS, TrainSettings


def show(layers: list[Energy], whole: Energy, network: Network, timesteps: int, console: Console):
    """Print energy by part and kind, by layer, and the figures of the whole."""
    kinds = dict.fromkeys(kind for part in whole.parts.values() for kind in part)
    table = _table("pJ per dense multiply-accumulate, by what takes it", "", *whole.parts, "all")
    for name, cells in {kind: [part.get(kind, 0.0) for part in whole.parts.values()] for kind in kinds}.items():
        table.add_row(name, *(f"{cell / whole.macs:.3f}" if cell else "" for cell in [*cells, sum(cells)]))
    sums = [sum(part.values()) for part in whole.parts.values()]
    table.add_row("all", *(f"{cell / whole.macs:.3f}" for cell in [*sums, sum(sums)]))
    console.print(table)
    table = _table("By layer", "", "nJ per sample", "share", "dense MACs", "pJ per dense MAC")
    for layer, energy in zip(network.layers, layers, strict=True):
        dense = sum(layer_macs(layer, timesteps).values())
        table.add_row(
            layer.node, f"{energy.total / 1e3:,.1f}", f"{100 * energy.total / whole.total:.1f} %", f"{dense:,.0f}",
            f"{energy.total / dense:.3f}",
        )  # fmt: skip
    console.print()
    console.print(table)
    console.print()
    for name, value in whole.figures.items():
        console.print(f"{name}: {value if isinstance(value, str) else f'{value:,.4g}'}", soft_wrap=True)


def _table(title: str, *columns: str) -> Table:
    """One that fits 80 columns, of numbers behind a name."""
    table = Table(
        title=title, title_justify="left", box=None, header_style="bold", pad_edge=False, padding=(0, 0, 0, 1)
    )  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    return table


@click.command("energy")
@click.option("--net", help="layers, as in 64-128-10 or 8x8x1-16c3-10, resnet, or a network file  [one hidden layer of "
              "128]")
@click.option("--bias/--no-bias", default=True, help="whether layers have biases  [bias]")
@data_options
@click.option("--zeros", type=float, help="per cent of spikes and errors that are zero, drawn at random  [as the data "
              "have them]")
@click.option("--weights", type=Path, help="a checkpoint, of a run on the RTL or on golden, whose weights are "
              "taken  [initial ones]")
@click.option("--table", default=DEFAULT, help=f"{', '.join(TABLES)}, or a JSON file", show_default=True)
@click.option("--batch", type=int, help="samples of a minibatch  [16]")
@click.option("--seed", type=int, default=0, help="of weights, encoding and random spikes", show_default=True)
@click.option("--norm", help="of every layer but the last: ws standardises weights, bn is batch norm  [none; resnet "
              f"{RECIPES['resnet'].norm}]")
@click.option("--optimizer", help=f"{', '.join(OPTIMIZERS)}  [sgd]")
@click.option("--loss", help="as of train  [mse; membrane-cross-entropy]")
@click.option("--neuron", help=f"{', '.join(NEURONS)}  [lif]")
@click.option("--leak", type=float, help="what a neuron keeps from step to step  [0.5]")
@click.option("--threshold", type=float, help="potential at which a neuron fires  [0.5]")
@click.option("--window", type=float, help="half width of the surrogate  [1.5]")
@click.option("--out", type=Path, help="folder of the plot  [build/energy]")
@core_options
def energy_command(net, bias, data, bin_us, encoding, zeros, weights, table, batch, seed, norm, optimizer, loss, neuron,
                   leak, threshold, window, out, preset, timesteps, lanes, cols, reset, surrogate,
                   changes):  # fmt: skip
    """Say what training a network on a core costs: pJ by engine, memory and layer, and TFLOPS/W, by golden's counts."""
    priced, out = EnergyTable.load(table), check_folder(out or OUT / "energy")
    if zeros is not None and not 0 <= zeros <= 100:
        raise TridentError(f"zeros must be a number of per cent from 0 to 100, not {zeros:g}")
    if zeros is not None and weights:
        raise TridentError("give zeros, for spikes and errors at random, or weights, which make them, not both")
    settings = {
        "neuron": neuron, "leak": leak, "threshold": threshold, "window": window, "reset": reset,
        "surrogate": surrogate,
    }  # fmt: skip
    core = parse_changes(changes) | {
        name: value for name, value in {"lanes": lanes, "cols": cols}.items() if value is not None
    }
    train = {"timesteps": timesteps, "batch": batch, "seed": seed, "optimizer": optimizer, "loss": loss}
    if zeros is not None and net:
        shorthand = RECIPES.get(net, PLAIN).net or net
        data = nothing(Network.parse(shorthand, bias), max(batch or TrainSettings.batch, 1))
    spec = RunSpec.make(
        data, net, preset, encoding, settings, train, core, alone=True, bias=bias, bin_us=bin_us, norm=norm,
        weights=weights,
    )  # fmt: skip
    require_counters(spec.cfg)
    if zeros is not None:
        activity = random_activity(spec.network, spec.cfg.steps, spec.train.batch, 1 - zeros / 100, seed)
    else:
        activity = measure_data(
            spec.network, spec.cfg, spec.neuron, spec.dataset, spec.train.batch, spec.encoding, seed, begun(spec),
            spec.loss,
        )  # fmt: skip
    found = forecast(CostModel(spec.network, spec.cfg, activity), spec.neuron)
    whole = Energy.of(sum(found, Counter()), activity.samples, spec.network, spec.cfg, priced)
    layers = [Energy.of(counters, activity.samples, spec.network, spec.cfg, priced) for counters in found]
    if not whole.total:
        raise TridentError(f"by the table {priced.name} nothing of this training takes energy")
    console = terminal()
    show(layers, whole, spec.network, spec.cfg.steps, console)
    make_folder(out)
    write_whole(out / "energy.svg", energy_svg(whole))
    write_whole(out / "energy.png", energy_png(whole))
    console.print(f"The same as a picture: {out / 'energy.svg'}, and as PNG beside it", soft_wrap=True)


def nothing(network: Network, samples: int) -> Dataset:
    """Blank images for a network, instead of which spikes are drawn at random."""
    images = np.zeros((samples, *network.in_shape), np.float32)
    labels = np.arange(samples) % network.classes
    return Dataset("random spikes", network.classes, images, labels, images, labels)


def begun(spec: RunSpec) -> Tensors | None:
    """The weights, as floats, that a run begins with; None: those that its seed draws."""
    if not spec.start:
        return None
    golden = GoldenTrainer(spec.network, spec.neuron, spec.cfg)
    golden.begin(spec.start)
    return {name: to_values(bits, spec.cfg.format) for name, bits in golden.bits(Space.WEIGHTS).items()}
