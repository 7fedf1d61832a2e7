"""Bands of a grouped convolution: parts of it whose channels fill words, so that each is a convolution by itself."""

from dataclasses import dataclass, replace

from trident.hw.errors import TridentError
from trident.hw.isa.job import JOB
from trident.snn.network.layers import Layer

_MOST = (1 << JOB.shape()["own_blocks"].width) - 1  # words of a pixel that a band has


@dataclass(frozen=True)
class Band:
    """As many groups of a convolution as it takes to fill words.

    layer: the convolution of their channels, from ``first`` and ``first_output`` on among those of the whole. block,
    blocks: the words of each pixel that it reads, the first and how many; group, groups: likewise those that it makes.
    tile: tiles of the whole before its own. shared: 1 + log2 of the channels of a group where groups share words; 0:
    they do not.
    """

    layer: Layer
    first: int
    first_output: int
    block: int
    blocks: int
    group: int
    groups: int
    tile: int
    shared: int = 0

    @property
    def vector_tile(self) -> int:
        """Its tiles before those of its biases."""
        return self.layer.taps * self.blocks * self.groups


def together(layer: Layer, lanes: int) -> int:
    """Groups of a layer or a branch whose channels fill words.

    Raises :class:`TridentError`, naming the node, where they neither do nor are a divisor of the lanes.
    """
    inputs, outputs = layer.image[2] // layer.conv_groups, layer.out_channels // layer.conv_groups
    if layer.conv_groups == 1 or inputs % lanes == outputs % lanes == 0:
        if layer.conv_groups > 1 and max(inputs, outputs) > _MOST * lanes:
            raise TridentError(
                f"{layer.node!r} has groups of {max(inputs, outputs)} channels: a core of {lanes} lanes has at most "
                f"{_MOST * lanes}"
            )
        return 1
    if inputs != outputs or lanes % inputs:
        raise TridentError(
            f"{layer.node!r} has groups of {inputs} input and {outputs} output channels: on a core of {lanes} lanes "
            f"they are multiples of {lanes}, or both the same divisor of it"
        )
    return lanes // inputs


def count_bands(layer: Layer, lanes: int) -> int:
    """The bands of a layer or a branch. Raises what :func:`together` raises."""
    return -(-layer.conv_groups // together(layer, lanes))


def bands_of(layer: Layer, lanes: int, blocks: int, groups: int) -> tuple[Band, ...]:
    """The bands of a layer or a branch that reads so many words of a pixel and has so many groups of lanes; one where
    all of its channels are joined. Raises what :func:`together` raises."""
    if layer.conv_groups == 1:
        return (Band(layer, 0, 0, 0, blocks, 0, groups, 0),)
    many, (y, x, channels) = together(layer, lanes), layer.image
    inputs, outputs, tile, found = channels // layer.conv_groups, layer.out_channels // layer.conv_groups, 0, []
    shared = inputs.bit_length() if inputs % lanes else 0
    for first in range(0, layer.conv_groups, many):
        here = min(many, layer.conv_groups - first)
        own = replace(layer, image=(y, x, here * inputs), out_channels=here * outputs, conv_groups=here)
        words = -(-here * inputs // lanes), -(-here * outputs // lanes)
        at = first * inputs, first * outputs
        found.append(Band(own, *at, at[0] // lanes, words[0], at[1] // lanes, words[1], tile, shared))
        tile += found[-1].vector_tile + layer.bias * words[1]
    return tuple(found)
