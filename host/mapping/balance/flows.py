"""Who sends how much to whom when layers are cut into strips of rows and groups of lanes."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise

from trident.host.compile.packing import WeightMap, blocks, out_groups
from trident.host.mapping.balance.spread import Spread
from trident.host.mapping.traffic import Flows, Traffic, packet_flits
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import HOST
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network


@dataclass(frozen=True)
class Piece:
    """What a core has of a layer: ``rows`` of the image that layers above read and ``groups`` of lanes, first and end
    of each."""

    core: int
    rows: tuple[int, int]
    groups: tuple[int, int]

    @property
    def width(self) -> int:
        """Groups of lanes."""
        return self.groups[1] - self.groups[0]


def pieces_of(network: Network, found: Spread, lanes: int) -> list[list[Piece]]:
    """Per layer the pieces on cores, in ascending order of both."""
    result = []
    for layer, demand, granules in zip(network.layers, found.demands, found.pieces, strict=True):
        rows, groups, done, own = layer.pooled_shape[0], out_groups(layer, lanes), 0, []
        for core, width in granules.items():
            span = (done, done + width)
            if demand.by_rows:  # granules are rows of sums, or of their pooled image
                low, high = (round(at * rows / demand.granules) for at in span)
                own.append(Piece(core, (low, high), (0, groups)))
            else:
                own.append(Piece(core, (0, rows), span))
            done += width
        result.append(own)
    return result


def flows_of(
    network: Network, found: Spread, replicas: int, cfg: CoreConfig, mesh: MeshConfig, batch: int, apart: bool = False
) -> Traffic:
    """The flows of minibatches of ``batch`` samples, of ``replicas`` copies of what is spread.

    As :func:`trident.host.mapping.traffic.traffic` says for what a partition can say too: per sample spikes to every
    core that reads their rows, errors from those back, as exact sums from core to core where several have groups of
    lanes of the layer that read them, with tokens and credits; per minibatch gradients of weights that several cores
    have, strips of rows and replicas, along these and back, and the barrier's tokens. apart: logical cores are the
    pieces, each by itself, in their order, and those of one core send to each other, too.
    """
    flows, cores = Flows(), found.cores
    pieces = pieces_of(network, found, cfg.lanes)
    if apart:
        numbers = count()
        pieces = [[replace(piece, core=next(numbers)) for piece in own] for own in pieces]
        cores = next(numbers)
    for replica in range(replicas):
        link = _Link(flows, cfg, mesh, replica * cores, len(range(replica, batch, replicas)) / batch)
        for layer in network.layers:
            above = pieces[layer.number]
            for part in layer.parts:
                rows, across, channels = _image(part)
                planes = part.reads[0].planes
                words = blocks(channels, cfg.lanes) * (planes.words if planes else 1)
                wanted = [(piece.core, *_wanted(part, piece, rows)) for piece in above]
                for source in part.sources:
                    below = [Piece(HOST, (0, rows), (0, words))] if source is None else pieces[source]
                    link.spikes(below, across, wanted)
                    if source is not None:
                        link.errors(below, across, wanted, _whole(above))
            if layer.last:
                link.spikes(above, layer.pooled_shape[1], [(HOST, 0, layer.pooled_shape[0])])
    for layer in network.layers:
        _gradients(flows, cfg, mesh, layer, pieces[layer.number], cores, replicas, batch)
    for core in range(replicas * cores):
        flows.add(core, [HOST], 1 / batch, "tokens")
    flows.add(HOST, range(replicas * cores), 1 / batch, "tokens")
    return flows.traffic(replicas * cores)


@dataclass(frozen=True)
class _Link:
    """What goes between the layers of a replica whose first core is ``first``, which has this share of the samples."""

    flows: Flows
    cfg: CoreConfig
    mesh: MeshConfig
    first: int
    share: float

    def _core(self, core: int) -> int:
        return core if core == HOST else self.first + core

    def spikes(self, below: Sequence[Piece], across: int, wanted: Sequence[tuple[int, int, int]]):
        """From every piece below each run of rows that the same cores read: ``wanted``, cores with their first row and
        end, of an image ``across`` pixels wide."""
        whole, chunks = _whole(below), self.cfg.chunks
        for piece in below:
            everyone = set()
            edges = sorted({*piece.rows, *(edge for _, *rows in wanted for edge in rows)})
            edges = edges[bisect_left(edges, piece.rows[0]) : bisect_left(edges, piece.rows[1]) + 1]
            for low, high in pairwise(edges):
                readers = {core for core, start, end in wanted if start <= low and high <= end} - {piece.core}
                pixels = (high - low) * across
                # Words of a slice of the channels lie apart
                runs, words = (1, pixels * piece.width * chunks) if whole else (pixels, piece.width * chunks)
                flits, packets = packet_flits(words, self.cfg.spike_bits, self.mesh)
                self._add(piece.core, readers, runs * flits, "spikes", runs * packets)
                everyone |= readers
            self._add(piece.core, everyone, 1, "tokens", 1)
            for reader in everyone:
                self._add(reader, {piece.core}, 1, "tokens", 1)

    def errors(self, below: Sequence[Piece], across: int, wanted: Sequence[tuple[int, int, int]], strips: bool):
        """To every piece below from the cores that read its rows: one after another, or each by itself where they have
        ``strips`` of rows."""
        for owner in below:
            chain = []
            for core, low, high in wanted:
                if (rows := min(high, owner.rows[1]) - max(low, owner.rows[0])) > 0:
                    chain.append((core, rows * across * owner.width * self.cfg.word_steps))
            targets = [owner.core] * len(chain) if strips else [*(core for core, _ in chain[1:]), owner.core]
            for number, ((source, rows), target) in enumerate(zip(chain, targets, strict=True), 1):
                if source != target:
                    whole = strips or number == len(chain)
                    parts = 1 if whole else self.cfg.sum_rows  # sums travel on as they are
                    flits, packets = packet_flits(rows * parts, self.cfg.row_bits, self.mesh)
                    self._add(source, {target}, flits, "errors" if whole else "partials", packets)
                    self._add(target, {source}, packets, "tokens", packets)

    def _add(self, source: int, targets: set[int], flits: float, kind: str, packets: float):
        self.flows.add(self._core(source), map(self._core, targets), self.share * flits, kind, self.share * packets)


def _whole(pieces: Sequence[Piece]) -> bool:
    """Pieces are strips of rows, or one is all of a layer."""
    return len({piece.groups for piece in pieces}) == 1


def _wanted(part: Layer, piece: Piece, rows: int) -> tuple[int, int]:
    """The rows of the image that a layer reads for a piece of it; ``rows``: of that image."""
    if part.kind == "linear" or piece.rows == (0, part.pooled_shape[0]):
        return 0, rows
    up = part.sum_shape[0] / part.pooled_shape[0]
    low, high = (int(at * up) for at in piece.rows)
    kernel = part.kernel
    first = low * kernel.stride[0] - kernel.padding[0]
    return max(first, 0), min(first + (high - low - 1) * kernel.stride[0] + kernel.reach[0] + 1, rows)


def _gradients(
    flows: Flows, cfg: CoreConfig, mesh: MeshConfig, layer: Layer, pieces: Sequence[Piece], cores: int,
    replicas: int, batch: int,
):  # fmt: skip
    per_group = sum(WeightMap(part, cfg).rows for part in layer.parts) // out_groups(layer, cfg.lanes)
    together = [list(pieces)] if _whole(pieces) else [[piece] for piece in pieces]
    for group in together:
        chain = [replica * cores + piece.core for replica in range(replicas) for piece in group]
        flits, packets = packet_flits(per_group * group[0].width * cfg.sum_rows, cfg.row_bits, mesh)
        for source, target in pairwise(chain):
            flows.add(source, [target], flits / batch, "gradients", packets / batch)
        flows.add(chain[-1], chain[:-1], flits / batch, "gradients", packets / batch)


def _image(part: Layer) -> tuple[int, int, int]:
    """Rows, columns and channels of what a layer reads; of a mean those of its image."""
    y, x, channels = part.image
    return (part.mean, part.mean, channels) if part.mean > 1 else (y, x, channels)
