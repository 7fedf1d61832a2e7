"""The command ``federated``: several chips learn together."""

from importlib.util import find_spec
from pathlib import Path

import click

from trident.host.cli.options import data_options
from trident.host.compile.sizing import parse_changes
from trident.host.driver.target import TARGETS
from trident.host.federated.run import federate
from trident.host.federated.settings import SPLITS, STRATEGIES
from trident.host.federated.spec import MESH, NET, PRESET, FederatedSpec
from trident.host.report.terminal import terminal
from trident.hw.errors import TridentError
from trident.hw.files import check_folder
from trident.hw.folders import OUT


@click.command("federated")
@click.option("--workers", type=int, help="chips that learn together  [5]")
@click.option("--rounds", type=int, help="of local training and averaging  [10]")
@click.option("--local-epochs", type=int, help="passes over its own samples that a worker makes in a round  [2]")
@click.option("--split", help=f"{SPLITS}  [iid]")
@click.option("--strategy", help=f"{STRATEGIES}  [fedavg]")
@click.option("--fraction", type=float, help="share of the workers that take part in a round  [1]")
@click.option("--min-workers", type=int, help="good answers that a round needs  [2]")
@click.option("--timeout", type=float, help="seconds that a round may take  [300]")
@click.option("--net", help=f"layers  [{NET}]")
@data_options
@click.option("--mesh", metavar="WxH", help=f"columns and rows of cores of each chip, 1x1 for one core  [{MESH}]")
@click.option("--partition", help="replicas, stages and slices, as in 2x1-2  [the fastest that is found]")
@click.option("--preset", help=f"core to start from  [{PRESET}]")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="any other parameter of the core")
@click.option("--batch", type=int, help="samples of a minibatch  [16]")
@click.option("--lr", "learning_rate", type=float, help="learning rate  [0.5; mnist 0.25]")
@click.option("--momentum", type=float, help="momentum within a round  [0.9]")
@click.option("--halve-every", type=int, help="local epochs after which the learning rate halves  [never]")
@click.option("--loss-scale", type=float, help="power of two that the loss is multiplied by  [256]")
@click.option("--seed", type=int, help="of weights, split, participants, order and encoding  [0]")
@click.option("--target", default="rtl", show_default=True, help=f"{', '.join(TARGETS)}: simulated chips, the same "
              "behind simulated serial lines, boards")  # fmt: skip
@click.option("--ports", help="of the boards, as in /dev/ttyUSB0,/dev/ttyUSB1; simulated chips are the other workers")
@click.option("--baud", type=int, help="of the serial lines")
@click.option("--board", help="take core and mesh from a set-up of this board")
@click.option("--setup", help="of the board  [core]")
@click.option("--out", type=Path, help="folder of checkpoint and report  [build/federated/NAME OF THE DATA]")
@click.option("--resume", is_flag=True, help="go on from the checkpoint in that folder")
@click.option("--flower", is_flag=True, help="let Flower carry the messages, on this computer")
@click.option("--tls", is_flag=True, help="encrypt what Flower carries, with certificates made for the run")
def federated_command(out, resume, flower, tls, changes, ports, **given):
    """Train a network on several chips, each with samples of its own, and average their weights."""
    if tls and not flower:
        raise TridentError("tls is for Flower: give it with flower")
    if flower and find_spec("flwr") is None:
        raise TridentError("Flower is not installed: it is the extra flower, which make federated FLOWER=1 installs")
    if out:
        check_folder(out)
    spec = FederatedSpec.make(options_of(changes, ports, given))
    folder = out or OUT / "federated" / Path(spec.run.dataset.name).resolve().stem
    if flower:
        from trident.host.federated.flower.run import federate_with_flower

        federate_with_flower(spec, folder, terminal(), resume, tls)
    else:
        federate(spec, folder, terminal(), resume)


def options_of(changes: tuple[str, ...], ports: str | None, given: dict) -> dict:
    """What :meth:`FederatedSpec.make` takes, from what the command line gives."""

    def take(*names: str) -> dict:
        return {name: given[name] for name in names if given[name] is not None}

    options = take(
        "net", "data", "bin_us", "encoding", "mesh", "partition", "preset", "target", "baud", "board", "setup"
    )
    options["train"] = take("batch", "learning_rate", "momentum", "halve_every", "loss_scale", "seed")
    options["federated"] = take(
        "workers", "rounds", "local_epochs", "split", "strategy", "fraction", "min_workers", "timeout"
    )
    options["core"] = parse_changes(changes)
    if ports:
        options["ports"] = [port.strip() for port in ports.split(",")]
    return options
