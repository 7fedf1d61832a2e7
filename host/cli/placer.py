"""The command ``placer``: training of the learned placer."""

from importlib.util import find_spec
from pathlib import Path

import click

from trident.host.report.terminal import terminal
from trident.hw.errors import TridentError
from trident.hw.files import check_folder, make_folder
from trident.hw.folders import OUT

METHODS = ("sinkhorn", "ppo")
LONGEST = 1440  # minutes


@click.group("placer")
def placer_command():
    """The learned placer."""


@placer_command.command("train")
@click.option("--method", default=METHODS[0], help="sinkhorn: through a relaxation of the placement; ppo: an "
              "actor-critic that draws coordinates", show_default=True)  # fmt: skip
@click.option("--minutes", type=float, default=10, help="how long", show_default=True)
@click.option("--seed", type=int, default=0, help="of initial weights and generated networks", show_default=True)
@click.option("--out", type=Path, help="folder of checkpoint and curve  [build/placer]")
def train_placer_command(method, minutes, seed, out):
    """Train it on generated networks and meshes; PLACER=learned:FILE takes the checkpoint. Needs the extra torch."""
    if method not in METHODS:
        raise TridentError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    if not 0 < minutes <= LONGEST:
        raise TridentError(f"minutes must be above 0, up to {LONGEST}, not {minutes:g}")
    if seed < 0:
        raise TridentError(f"seed must be a whole number from 0 on, not {seed}")
    out = check_folder(out or OUT / "placer")
    if find_spec("torch") is None:
        raise TridentError("placer train needs PyTorch: pip install trident-snn[torch]")
    from trident.host.mapping.placers.training import curve, train  # which imports PyTorch

    console, path = terminal(), out / "placer.npz"
    make_folder(out)
    points = []
    for progress, weights in train(method, 60 * minutes, seed):
        console.print(
            f"{progress.seconds:6.0f} s  {progress.problems:6d} networks  {progress.of_zigzag:.3f} of the zigzag's "
            "flits x hops on networks that are not trained on", soft_wrap=True
        )  # fmt: skip
        points.append(progress)
        weights.write(path)
    curve(points, out / "curve.svg")
    console.print(f"wrote {path}\nwrote {out / 'curve.svg'}", soft_wrap=True)
