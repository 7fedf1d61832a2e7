"""Options that several commands have."""

import click

from trident.snn.sources import SOURCES


def data_options(command):
    """The data, and how they become spikes."""
    for option in reversed([
        click.option("--data", default="digits", help=SOURCES, show_default=True),
        click.option("--bin-us", type=int, help="microseconds of a timestep of event recordings  [the fewest with "
                     "which all timesteps cover the longest]"),
        click.option("--encoding", default="dither", help="rate, dither, bernoulli or direct", show_default=True),
    ]):  # fmt: skip
        command = option(command)
    return command
