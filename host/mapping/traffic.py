"""Who sends how much to whom: the flows of a partition, and the load that they put on the links of a mesh."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np

from trident.host.compile.packing import WeightMap, blocks, out_groups
from trident.hw.errors import TridentError
from trident.hw.isa.batch_norm import backward_passes, forward_passes
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.routing import path
from trident.hw.noc.topology import HOST, HOST_OUT, Port, neighbour
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition


@dataclass(frozen=True)
class Flow:
    """``flits`` per sample of the minibatch from logical core ``source`` to each of ``destinations`` (or HOST).

    kind: spikes, errors, partials (errors that the next core of a stage adds to), gradients, statistics or tokens
    (credits and barriers included); packets: those that carry the flits.
    """

    source: int
    destinations: frozenset[int]
    flits: float
    kind: str
    packets: float = 1.0


@dataclass(frozen=True)
class Traffic:
    """The flows of a partition of ``cores`` logical cores."""

    cores: int
    flows: tuple[Flow, ...]

    @property
    def flits(self) -> float:
        """Flits that are sent per sample, each counted once."""
        return sum(flow.flits for flow in self.flows)


@dataclass(frozen=True)
class Load:
    """What a placement makes of the traffic, per sample.

    flit_hops: flits x links that they travel; links: flits on every link (from, to), mesh cores or HOST.
    """

    flit_hops: float
    links: dict[tuple[int, int], float]

    @property
    def hottest(self) -> tuple[int, int] | None:
        """The link with the most flits, the lowest numbers winning a tie; None without traffic between routers."""
        return max(sorted(self.links), key=self.links.__getitem__, default=None)

    @property
    def peak(self) -> float:
        """Flits on the hottest link."""
        return max(self.links.values(), default=0.0)


class Flows:
    """Flows as they are found, equal ones joined."""

    def __init__(self):
        self._flits: dict[tuple[int, frozenset[int], str], tuple[float, float]] = {}

    def add(self, source: int, destinations: Iterable[int], flits: float, kind: str, packets: float | None = None):
        """Add to a flow, in so many packets or of one flit each; to nobody, or of nothing, it is none."""
        key = source, frozenset(destinations), kind
        if flits and key[1]:
            before = self._flits.get(key, (0.0, 0.0))
            self._flits[key] = before[0] + flits, before[1] + (flits if packets is None else packets)

    def traffic(self, cores: int) -> Traffic:
        """All of so many logical cores, in ascending order of their cores."""
        flits = self._flits
        ordered = sorted(flits, key=lambda key: (key[0], sorted(key[1]), key[2]))
        return Traffic(cores, tuple(Flow(*key[:2], flits[key][0], key[2], flits[key][1]) for key in ordered))


def packet_flits(items: int, bits: int, mesh: MeshConfig) -> tuple[int, int]:
    """Flits, headers included, and packets that carry one run of ``items`` words of ``bits`` bits.

    A flit holds whole words, a packet whole words. Raises :class:`TridentError` for a word that no packet holds.
    """
    room = mesh.packet - 1
    if bits <= mesh.flit:
        flits = -(-items // (mesh.flit // bits))
        packets = -(-flits // room)
        return flits + packets, packets
    per_word = -(-bits // mesh.flit)
    if per_word > room:
        raise TridentError(
            f"a word of {bits} bits takes {per_word} flits of {mesh.flit} bits, a packet of {mesh.packet} flits has "
            f"room for {room}: make packets longer or flits wider"
        )
    packets = -(-items // (room // per_word))
    return items * per_word + packets, packets


def traffic(network: Network, partition: Partition, cfg: CoreConfig, mesh: MeshConfig, batch: int) -> Traffic:
    """The flows of minibatches of ``batch`` samples, equal ones joined, in ascending order of their cores.

    Per sample: spike words to the next stage and a token with them, a token back from each receiver; partial errors
    along the next stage's cores and on to their owner, a credit back per packet; per minibatch the gradients along the
    replicas and back, the sums of norms once around them, and the barrier's tokens. Raises :class:`TridentError` as
    :func:`packet_flits` does.
    """
    flows = Flows()
    add, stages = flows.add, partition.stages
    for replica in range(partition.replicas):
        share = partition.samples(batch, replica) / batch
        cores = [
            [partition.core(replica, n, slice_) for slice_ in range(stage.cores)] for n, stage in enumerate(stages)
        ]
        y, x, channels = network.in_shape
        planes = network.planes.words if network.planes else 1
        samples = (HOST, 1, y * x * blocks(channels, cfg.lanes) * planes * cfg.chunks)
        sent = [(samples, cores[n]) for n in range(len(stages)) if partition.before(n, network) is None]
        for n, stage in enumerate(stages):
            after = partition.after(n, network)
            receivers = [HOST] if after is None else cores[after]
            sent += [
                ((core, runs, words), receivers) for core, (runs, words) in zip(cores[n], _runs(network, stage, cfg))
            ]
        for (sender, runs, words), receivers in sent:
            flits, packets = packet_flits(words, cfg.spike_bits, mesh)
            add(sender, receivers, share * runs * flits, "spikes", share * runs * packets)
            add(sender, receivers, share, "tokens")
            for receiver in receivers:
                add(receiver, [sender], share, "tokens")
        for n, stage in enumerate(stages):
            after = partition.after(n, network)
            for owner, (runs, words) in zip(cores[n], _runs(network, stage, cfg)) if after is not None else ():
                rows, chain = runs * words * cfg.timesteps, [*cores[after], owner]
                for source, target in pairwise(chain):
                    parts = 1 if target == owner else cfg.sum_rows  # sums travel on as they are
                    flits, packets = packet_flits(rows * parts, cfg.row_bits, mesh)
                    kind = "errors" if target == owner else "partials"
                    add(source, [target], share * flits, kind, share * packets)
                    add(target, [source], share * packets, "tokens")
    _add_gradients(network, partition, cfg, mesh, batch, add)
    _add_statistics(network, partition, cfg, mesh, batch, add)
    for core in range(partition.cores):
        add(core, [HOST], 1 / batch, "tokens")
    add(HOST, range(partition.cores), 1 / batch, "tokens")
    return flows.traffic(partition.cores)


def _runs(network: Network, stage, cfg: CoreConfig) -> list[tuple[int, int]]:
    """Per core of a stage: runs of consecutive spike words that it sends of a sample, and words of one."""
    layer = network.layers[stage.last]
    y, x, _ = layer.out_shape
    if stage.cores == 1:
        return [(1, y * x * out_groups(layer, cfg.lanes) * cfg.chunks)]
    return [(y * x * cfg.chunks, blocks(b - a, cfg.lanes)) for a, b in zip(stage.cuts, stage.cuts[1:], strict=False)]


def _add_gradients(network: Network, partition: Partition, cfg: CoreConfig, mesh: MeshConfig, batch: int, add):
    if partition.replicas == 1:
        return
    rows = [0] * partition.members
    for n, layer in enumerate(network.layers):
        for member, first, end in partition.slices(n, network):
            parts = (replace(part, out_channels=end - first) for part in layer.parts)
            rows[member] += sum(WeightMap(part, cfg).rows for part in parts)
    last = partition.replicas - 1
    for member, count in enumerate(rows):
        flits, packets = packet_flits(count * cfg.sum_rows, cfg.row_bits, mesh)
        chain = [replica * partition.members + member for replica in range(partition.replicas)]
        for source, target in pairwise(chain):
            add(source, [target], flits / batch, "gradients", packets / batch)
        add(chain[last], chain[:last], flits / batch, "gradients", packets / batch)


def _add_statistics(network: Network, partition: Partition, cfg: CoreConfig, mesh: MeshConfig, batch: int, add):
    """Of every norm the sums of a pass for each group of channels, from every replica to all others."""
    sums = 0
    for layer in (layer for layer in network.layers if layer.norm):
        assert layer.norm is not None
        passes = backward_passes() if layer.norm.frozen else (*forward_passes(), *backward_passes())
        sums += out_groups(layer, cfg.lanes) * sum(bool(step.rows and step.then) for step in passes)
    flits, packets = packet_flits(cfg.pass_rows, cfg.row_bits, mesh)
    rounds = sums * (partition.replicas - 1) / batch
    for core in range(partition.cores if sums else 0):
        following = (core + 1) % partition.cores
        add(core, [following], rounds * flits, "statistics", rounds * packets)
        add(following, [core], rounds * packets, "tokens")


@cache
def links_between(mesh: MeshConfig, source: int, destination: int) -> tuple[tuple[int, int], ...]:
    """Links (from, to) that a packet takes between two mesh cores, or from or to HOST."""
    links = [(HOST, 0)] if source == HOST else []
    for core, port in path(mesh, source, destination):
        if core == 0 and destination == HOST and port == HOST_OUT:
            links.append((0, HOST))
        elif port != Port.LOCAL:
            links.append((core, neighbour(mesh, core, port)))
    return tuple(links)


def load(traffic_: Traffic, mesh: MeshConfig, placement: tuple[int, ...]) -> Load:
    """The load of every link when logical core n sits on mesh core ``placement[n]``."""
    places = np.append(np.asarray(placement, int), HOST)  # index -1 is the host
    links: dict[tuple[int, int], float] = {}
    for flow in traffic_.flows:
        source = int(places[flow.source])
        # The tree of a multicast is the union of the paths to its targets
        for link in {link for core in flow.destinations for link in links_between(mesh, source, int(places[core]))}:
            links[link] = links.get(link, 0.0) + flow.flits
    links = dict(sorted(links.items()))  # so that sums do not depend on the order of a set
    return Load(sum(links.values()), links)
