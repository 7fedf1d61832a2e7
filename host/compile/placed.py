"""Layers with their places in a core's memories."""

from dataclasses import dataclass, replace

from trident.host.compile.bands import Band
from trident.host.compile.packing import WeightMap
from trident.host.compile.regions import Region
from trident.snn.network.layers import Layer, Read


@dataclass(frozen=True)
class PlacedLayer:
    """One layer, or a slice of its output channels, with the places of its weights (tiles), of each of its reads and of
    its own spikes, of what the layers above read of those, and of its errors (words). Behind the reads of a mean comes
    :data:`NOTHING`, beside which are its biases.

    layer: with the slice's channels alone; first: the first of them. errors: those at its convolutions' sums; made:
    those that its neurons make, behind windows and norm. sums: of its sums; None: neurons take them at once; total: of
    those that others add; None: there are no such. winners: which of them are the largest of their windows. leaks:
    groups of what its neurons learn. branches: the layer's branches, whose weights and reads have places of their own.
    """

    first: int
    layer: Layer
    weights: WeightMap
    tile: int
    inputs: tuple[Region, ...]
    spikes: Region
    pooled: Region
    errors: Region
    made: Region
    sums: Region | None = None
    total: Region | None = None
    winners: Region | None = None
    leaks: Region | None = None
    branches: "tuple[PlacedLayer, ...]" = ()

    @property
    def parts(self) -> "tuple[PlacedLayer, ...]":
        """See :attr:`Layer.parts`."""
        return self, *self.branches

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """What forward computes one after another: groups of lanes, the first and how many of them; several where a
        part is a grouped convolution."""
        bands = max((part.weights.bands for part in self.parts), key=len)
        return tuple((band.group, band.groups) for band in bands)

    @property
    def gradients(self) -> "list[tuple[PlacedLayer, int, Band]]":
        """Of weight_grad: each part that is trained with each of its inputs and each of its bands."""
        trained = [(part, read) for part, read in self.walks if not part.layer.fixed]
        return [(part, read, band) for part, read in trained for band in part.weights.bands]

    @property
    def walks(self) -> "list[tuple[PlacedLayer, int]]":
        """Of forward: each part with each of its inputs."""
        return [(part, read) for part in self.parts for read in range(len(part.inputs))]


NOTHING = Region(0, 0, 1, 0)


def region_of(region: Region, read: Read) -> Region:
    """That of one plane."""
    words = read.planes.words if read.planes else 1
    return replace(region, base=region.base + region.chunk // words * read.plane)
