"""Options that several commands have."""

import click

from trident.host.mapping.placement import OBJECTIVES, PLACERS, Placing
from trident.hw.isa.neurons import RESETS, SURROGATES
from trident.snn.data.sources import SOURCES
from trident.snn.network.defaults import RECIPES


def data_options(command):
    """The data, and how they become spikes."""
    for option in reversed([
        click.option("--data", default="digits", help=SOURCES, show_default=True),
        click.option("--bin-us", type=int, help="microseconds of a timestep of event recordings  [the fewest with "
                     "which all timesteps cover the longest]"),
        click.option("--encoding", help=f"rate, dither, bernoulli or direct  [dither; resnet "
                     f"{RECIPES['resnet'].encoding}]"),
    ]):  # fmt: skip
        command = option(command)
    return command


def placing_options(command):
    """Where the cores of a partition sit on the mesh."""
    for option in reversed([
        click.option("--placer", default=Placing.placer, help=", ".join(PLACERS), show_default=True),
        click.option("--objective", default=Placing.objective, help=", ".join(OBJECTIVES), show_default=True),
        click.option("--budget", type=float, default=Placing.budget, help="seconds that a placer searches",
                     show_default=True),
        click.option("--placement", help="mesh core of every logical core, as in 3,1,0,2  [the placer's]"),
    ]):  # fmt: skip
        command = option(command)
    return command


def core_options(command):
    """Options that choose and change a core."""
    for option in reversed([
        click.option("--preset", help="core to start from, see presets  [SMALL; on several cores FPGA]"),
        click.option("--timesteps", "-T", type=int, help="timesteps of a sample  [the preset's]"),
        click.option("--lanes", type=int, help="output channels at once  [the preset's]"),
        click.option("--cols", type=int, help="columns of all three engines  [the preset's]"),
        click.option("--reset", help=f"{', '.join(RESETS)}  [hard]"),
        click.option("--surrogate", help=f"{', '.join(SURROGATES)}, the smooth ones with an α, as in "
                     "atan:2  [rectangle]"),
        click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="any other parameter of the core"),
    ]):  # fmt: skip
        command = option(command)
    return command
