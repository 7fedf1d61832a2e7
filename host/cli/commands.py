"""The commands ``train``, ``verilog`` and ``presets``."""

from dataclasses import fields
from pathlib import Path

import click
from rich.table import Table

from trident.host.cli.options import core_options, data_options, placing_options
from trident.host.cli.run import train
from trident.host.cli.verilog import write_verilog
from trident.host.compile.sizing import configure, parse_changes
from trident.host.driver.target import TARGETS, Target
from trident.host.mapping.chip_choice import ChipChoice
from trident.host.mapping.placement import Placing
from trident.host.report.terminal import terminal
from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError
from trident.hw.files import check_folder
from trident.hw.folders import OUT
from trident.hw.isa.config import PRESETS, CoreConfig
from trident.snn.network.defaults import DEEP, RECIPES
from trident.snn.neuron_settings import NEURONS
from trident.snn.train_settings import ADAM_RATE, EPSILON, OPTIMIZERS


@click.command("train")
@click.option("--net", help="layers, as in 64-128-10 or 8x8x1-16c3-32c3s2-10, or resnet  [one hidden layer of 128; "
              "on several cores a deep network]")
@click.option("--bias/--no-bias", default=True, help="whether layers have biases; a network file says it  [bias]")
@click.option("--norm", help="of every layer but the last: ws standardises weights, bn is batch norm, tdbn one whose "
              "gains begin with the threshold; ws:1e-3, bn:1e-3 with that epsilon  "
              f"[none; resnet {RECIPES['resnet'].norm}]")
@click.option("--freeze-bn/--no-freeze-bn", default=False, help="batch norms keep their running means and variances, "
              "and train with them  [no]")
@click.option("--weights", type=Path, help="a checkpoint whose weights, with means and variances of norms, training "
              "begins with  [drawn ones]")
@data_options
@click.option("--mesh", "size", metavar="WxH", help="columns and rows of cores  [1x1]")
@click.option("--cores", type=int, help="instead of the mesh: the squarest mesh of so many cores  [1]")
@click.option("--partition", help="replicas, stages and slices, as in 4x1-2,3/2,4  [the fastest that is found]")
@placing_options
@click.option("--epochs", type=int, help="passes over the training samples  [10; mnist 2]")
@click.option("--batch", type=int, help=f"samples of a minibatch  [16; deep network {DEEP.train['batch']}]")
@click.option("--lr", "learning_rate", type=float, help="learning rate  [0.5; mnist 0.25; deep network "
              f"{DEEP.train['learning_rate']}; adam {ADAM_RATE}]")
@click.option("--momentum", type=float, help="momentum  [0.9]")
@click.option("--halve-every", type=int, help="epochs after which the learning rate halves, 0 for never  [3; mnist 1]")
@click.option("--schedule", help="of the learning rate: step, which halves it, cosine or one-cycle  [step]")
@click.option("--loss", help="mse; count-mse with the rates of the label's neuron and of the others, as in "
              "count-mse:0.8,0.2; cross-entropy of the spike counts, or rate-cross-entropy; membrane-cross-entropy of "
              "a readout, or step-cross-entropy of its potentials at every timestep  [mse; membrane-cross-entropy]")
@click.option("--smoothing", type=float, help="share of the label's 1 that all classes have alike  [0]")
@click.option("--distill", type=float, help="of a cross-entropy: share of a teacher's probabilities in what is wanted, "
              "from the logits that the data have as teacher  [0]")
@click.option("--temperature", type=float, help="what the teacher's logits are divided by  [1]")
@click.option("--class-weights", help="by class, what the loss of its samples is multiplied by, as in 1,2,0.5; or "
              "balanced: N / (classes x samples of the class)  [1]")
@click.option("--optimizer", help=f"{', '.join(OPTIMIZERS)}  [sgd]")
@click.option("--weight-decay", type=float, help="share of a weight that is added to its gradient or, of adamw, taken "
              "from it, times the rate  [0]")
@click.option("--prune", type=float, help="λ: in every update weights move towards 0 by the learning rate times λ  [0]")
@click.option("--nesterov/--no-nesterov", default=None, help="of sgd: a step looks one momentum ahead  [no]")
@click.option("--beta2", type=float, help="of adam: what a mean of squared gradients keeps  [0.999]")
@click.option("--epsilon", type=float, help=f"of adam: added to the root of that mean  [{EPSILON:g}]")
@click.option("--loss-scale", type=float, help="power of two that the loss is multiplied by  [256]")
@click.option("--seed", type=int, help="of weights, order and encoding  [0]")
@click.option("--leak", type=float, help="what a neuron keeps from step to step, of plif and leaky "
              "before it is trained  [0.5]")
@click.option("--threshold", type=float, help="potential at which a neuron fires  [0.5]")
@click.option("--learn-threshold", help="layer or channel: neurons learn their threshold, one for each  [none]")
@click.option("--window", type=float, help="half width of the surrogate  [1.5]")
@core_options
@click.option("--neuron", help=f"{', '.join(NEURONS)}  [lif]")
@click.option("--decay-input/--no-decay-input", default=None, help="multiply the input of lif and plif by 1 - leak  "
              "[no]")
@click.option("--v-reset", type=float, help="potential that a hard reset leaves  [0]")
@click.option("--spike-penalty", type=float, help="λ: the loss grows by λ times the mean of a layer's spikes, of every "
              "layer that fires but the last  [0]")
@click.option("--synapse", type=float, help="what a synaptic neuron's current keeps from step to step  [0.5]")
@click.option("--detach/--no-detach", default=None, help="let no error through a reset  [detach]")
@click.option("--target", default="rtl", show_default=True, help=f"{', '.join(TARGETS)}: the simulated chip, the same "
              "behind a simulated serial line, a board, the golden model alone")
@click.option("--golden", "engines", type=click.Choice(("numpy", "torch")), default="numpy", show_default=True,
              help="what the golden model computes with; the bits are the same")
@click.option("--port", help="of a board, as in /dev/ttyUSB0")
@click.option("--baud", type=int, help="of the serial line  [the board's, or 3000000]")
@click.option("--board", help="take core and mesh from a set-up of this board")
@click.option("--setup", help="of the board  [core]")
@click.option("--out", type=Path, help="folder of checkpoint, report and waves  [build/train/NAME OF THE DATA]")
@click.option("--verbose", "-v", is_flag=True, help="print all counters at the end")
@click.option("--resume", is_flag=True, help="go on from the checkpoint in that folder")
@click.option("--waves", type=int, default=0, help="record this many minibatches as an FST, and stop")
def train_command(net, bias, norm, freeze_bn, weights, data, bin_us, encoding, preset, changes, out, verbose, resume,
                  waves, leak, threshold, learn_threshold, window, reset, surrogate, neuron, decay_input, synapse,
                  detach, v_reset, spike_penalty, timesteps, lanes, cols, size, cores, partition, placer, objective,
                  budget, placement, target, port, baud, board, setup, engines, **training):  # fmt: skip
    """Train a network on the RTL of a chip, in lockstep with the golden model."""
    if waves < 0:
        raise TridentError(f"waves must be a number of minibatches of at least 0, not {waves}")
    if waves and resume:
        raise TridentError("waves are recorded from the start of a run: give waves or resume, not both")
    if out:
        check_folder(out)
    target = Target(target, port, baud, board, setup)
    if waves and target.kind != "rtl":
        raise TridentError(f"waves are recorded of the target rtl only, not of {target.kind}")
    core = parse_changes(changes)
    neurons = {
        "leak": leak, "threshold": threshold, "window": window, "reset": reset, "surrogate": surrogate,
        "neuron": neuron, "decay_input": decay_input, "synapse": synapse, "detach": detach,
        "v_reset": v_reset, "spike_penalty": spike_penalty, "learn_threshold": learn_threshold,
    }  # fmt: skip
    own = {name: name for name in ("reset", "surrogate", "detach", "timesteps", "lanes")}
    own |= {"charge": "neuron", "optimiser": "optimizer", "loss": "loss", "others": "net"}
    own |= {"loss_tables": "class-weights"}
    for name, option in own.items():
        if name in core:
            raise TridentError(f"{name} has an option of its own: give --{option} instead of --set {name}=")
    training["timesteps"] = timesteps
    core |= {name: value for name, value in {"lanes": lanes, "cols": cols}.items() if value is not None}
    chip = ChipChoice(size, cores, partition, Placing(placer, objective, budget, placement))
    spec = RunSpec.make(
        data, net, preset, encoding, neurons, training, core, chip, target.chip(), alone=target.kind == "golden",
        bias=bias, norm=norm, bin_us=bin_us, freeze_bn=freeze_bn, weights=weights,
    )
    name = Path(data).resolve().stem[:100] + (f"-{spec.mesh.width}x{spec.mesh.height}" if spec.many else "")
    train(spec, out or OUT / "train" / name, terminal(), resume, waves, target, verbose, engines)


@click.command("verilog")
@core_options
@click.option("--mesh", "size", metavar="WxH", help="columns and rows of cores  [1x1]")
@click.option("--cores", type=int, help="instead of the mesh: the squarest mesh of so many cores  [1]")
@click.option("--out", type=Path, help="folder that is written to  [build/verilog/PRESET]")
def verilog_command(preset, changes, out, size, cores, **core):
    """Write the Verilog of a core or a chip, and a table of its parameters and of its modules' ports."""
    if out:
        check_folder(out)
    mesh = ChipChoice(size, cores).mesh(programmed=False)
    preset = preset or (DEEP.preset if mesh and mesh.cores > 1 else "SMALL")
    cfg = configure(preset, **{**parse_changes(changes), **{k: v for k, v in core.items() if v is not None}})
    design, table, units = write_verilog(out or OUT / "verilog" / preset.lower(), preset.upper(), cfg, mesh)
    click.echo(f"Verilog: {design} ({units} modules, {design.stat().st_size / 1000:.0f} kB)\nPorts:   {table}")


@click.command("presets")
def presets_command():
    """List the presets and their parameters."""
    table = Table("parameter", *PRESETS, box=None, header_style="bold")
    for field in fields(CoreConfig):
        table.add_row(field.name, *(str(getattr(cfg, field.name)) for cfg in PRESETS.values()))
    terminal().print(table)
