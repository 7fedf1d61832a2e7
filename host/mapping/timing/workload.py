"""What cores do in time: units of work, the streams of packets between them, and what waits for what."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from trident.host.mapping.traffic import Traffic
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Packing
from trident.hw.noc.topology import HOST

KINDS = ("spikes", "errors", "partials", "gradients", "results")
"""Of streams: spikes; errors for the stage before; exact sums for the next core of a stage, which adds to them;
gradients for the next replica, which adds to them; all gradients for the other replicas."""
SPIKES, ERRORS, PARTIALS, GRADIENTS, RESULTS = range(len(KINDS))

PACKETS = 30_000  # of a run, about: of larger workloads a smaller image is simulated
AHEAD = 2  # samples that every unit has received when the pipeline is full: one that comes, one that it works on
AHEAD_SLOTS = 3  # samples at most by which its forward is then ahead of its weight_grad
LEAST_SAMPLES = 12  # per unit, of which the second half says how long one takes


@dataclass(frozen=True)
class Unit:
    """Work of a core that begins when its inputs are there: a core's stage, or a piece of a layer.

    core: the logical core, whose engines its units share; forward, local, away, weight_grad: cycles per sample of the
    engines, ``local`` and ``away`` those of backward for its own layers and for the stage before; last_gradient: those
    of weight_grad that wait for ``local``; loss: of the loss; slots, error_slots: samples at once; samples: that it
    trains on in a minibatch.
    """

    core: int
    forward: float
    local: float
    away: float
    weight_grad: float
    last_gradient: float
    loss: float
    slots: int
    error_slots: int
    samples: int


@dataclass(frozen=True)
class Stream:
    """Packets of a kind from a unit, or HOST, to units or HOST, per sample; of gradients per minibatch.

    cycles: in which the source makes them when nothing is in their way; start: after how many of its own.
    """

    kind: int
    source: int
    targets: tuple[int, ...]
    packets: int
    flits: int
    cycles: float
    start: float = 0.0


@dataclass(frozen=True, eq=False)
class Workload:
    """A network on cores, for :class:`trident.host.mapping.timing.simulate.Timing`.

    shared: a core's three engines are one; full: the pipeline is full from the beginning, and what counts are the
    cycles from sample to sample, not those of a minibatch; rest: cycles of a minibatch behind its last packet; batch:
    its samples; drains: cycles in which a core takes a flit, by kind of stream; scale: how many times larger it is in
    truth.
    """

    mesh: MeshConfig
    cores: int
    units: tuple[Unit, ...]
    streams: tuple[Stream, ...]
    shared: bool
    full: bool
    batch: int
    rest: float
    drains: tuple[int, ...]
    scale: int = 1

    @property
    def samples(self) -> int:
        """The most that a unit trains on."""
        return max((unit.samples for unit in self.units), default=0)

    @cached_property
    def image(self) -> "Workload":
        """The same in small: of fewer samples, and with as many times fewer packets and cycles of a sample as leave
        about :data:`PACKETS`. The pace of packets, and with it the load of links, is that of the whole."""
        once = 0 if self.full else sum(stream.packets for stream in self.streams if stream.kind >= GRADIENTS)
        each = sum(stream.packets for stream in self.streams if self.full or stream.kind < GRADIENTS)
        samples = self.samples
        if self.full or each * samples + once > PACKETS:
            samples = LEAST_SAMPLES if self.full else min(samples, LEAST_SAMPLES + 2 * self._depth)
        return self._smaller(samples, max(1, -(-(each * samples + once) // PACKETS)))

    @cached_property
    def _depth(self) -> int:
        """Units of the longest way that spikes take."""
        depth, edges = [0] * len(self.units), [
            (stream.source, target)
            for stream in self.streams if stream.kind == SPIKES and stream.source != HOST
            for target in stream.targets if target != HOST
        ]  # fmt: skip
        for _ in self.units:
            for source, target in edges:
                depth[target] = max(depth[target], depth[source] + 1)
        return max(depth, default=0)

    def _smaller(self, samples: int, scale: int) -> "Workload":
        def less(unit: Unit) -> Unit:
            return replace(
                unit, samples=samples if self.full else min(unit.samples, samples), forward=unit.forward / scale,
                local=unit.local / scale, away=unit.away / scale, weight_grad=unit.weight_grad / scale,
                last_gradient=unit.last_gradient / scale, loss=unit.loss / scale,
            )  # fmt: skip

        def shorter(stream: Stream) -> Stream:
            flits = max(1, round(stream.flits / scale))
            packets = max(1, -(-flits // self.mesh.packet), round(stream.packets / scale))
            return replace(stream, flits=max(flits, packets), packets=packets, cycles=stream.cycles / scale,
                           start=stream.start / scale)  # fmt: skip

        units, streams = tuple(map(less, self.units)), tuple(map(shorter, self.streams))
        return replace(self, units=units, streams=streams, scale=scale)


def drains_of(cfg: CoreConfig, mesh: MeshConfig) -> tuple[int, ...]:
    """Cycles in which a core takes a flit of every kind: one for each item."""
    spikes, rows = (Packing(mesh, bits).per_flit for bits in (cfg.spike_bits, cfg.row_bits))
    return spikes, rows, rows, rows, 1


def streams_of(
    traffic: Traffic, units: Sequence[Unit], batch: int, full: bool, drains: Sequence[int], reduce: float = 0.0
) -> tuple[Stream, ...]:
    """The streams of traffic between units, of which its logical cores are the numbers; tokens and credits come by
    themselves, and statistics, for which all cores wait alike, are part of what a sample takes.

    full: gradients of a minibatch are shared out over its samples; reduce: cycles in which a core adds all of its
    gradients to those of the replica before.
    """
    found = []
    for flow in traffic.flows:
        if flow.kind in ("tokens", "statistics"):
            continue
        kind, targets = KINDS.index(flow.kind), tuple(sorted(flow.destinations))
        times = batch / max(units[n].samples for n in (flow.source, *targets) if n != HOST)
        if kind == GRADIENTS:
            if full or len(targets) > 1 or targets[0] < flow.source:
                kind = RESULTS
            times = times if full else batch
        flits = max(1, round(flow.flits * times))
        cycles = reduce if kind == GRADIENTS else float(flits * drains[kind])
        if kind == PARTIALS:
            cycles = max(cycles, units[flow.source].away)
        found.append(Stream(kind, flow.source, targets, min(flits, max(1, round(flow.packets * times))), flits, cycles))
    return _in_turn(found, units)


def _in_turn(streams: Sequence[Stream], units: Sequence[Unit]) -> tuple[Stream, ...]:
    """A unit makes errors for one target after another, those of each in its share of the time."""
    whole, done = Counter[int](), Counter[int]()
    for stream in streams:
        if stream.kind == ERRORS:
            whole[stream.source] += stream.flits
    found = []
    for stream in streams:
        if stream.kind == ERRORS:
            away = units[stream.source].away / whole[stream.source]
            found.append(replace(stream, cycles=away * stream.flits, start=away * done[stream.source]))
            done[stream.source] += stream.flits
        else:
            found.append(stream)
    return tuple(found)
