"""Options that several commands have."""

import click

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
