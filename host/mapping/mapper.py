"""A network on a mesh: partitioned, placed, and compared with other placements."""

from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from time import perf_counter

from trident.host.mapping.cost import CostModel
from trident.host.mapping.placement import LATENCY, PLACERS, Placement, Placing, parse_placement, place
from trident.host.mapping.prediction import predict
from trident.host.mapping.search import Mapping, find_partition
from trident.host.mapping.timing.partition import workload_of
from trident.host.mapping.timing.simulate import Timing
from trident.host.mapping.traffic import Load, Traffic, load, traffic
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

RANDOM = 100  # placements that the mean of random ones is over
SEEDS = 3  # of placers that are compared
SAMPLES = 4  # whose spikes and errors the cost model walks over


@dataclass(frozen=True)
class Map:
    """Everything that ``map`` shows: where each slice of a network is, what it costs, and what its links carry.

    zigzag: that placement and its load; random: mean flits x hops and hottest link of :data:`RANDOM` random ones;
    timing: counts the cycles of placements in time, where the latency is the objective and there are several cores.
    """

    network: Network
    cfg: CoreConfig
    mesh: MeshConfig
    mapping: Mapping
    traffic: Traffic
    placement: Placement
    load: Load
    zigzag: tuple[Placement, Load]
    random: tuple[float, float]
    timing: Timing | None = None

    @property
    def placement_ratio(self) -> float:
        """Flits x hops over those of the mean random placement."""
        return self.load.flit_hops / self.random[0] if self.random[0] else 1.0

    @property
    def zigzag_ratio(self) -> float:
        """The same over those of the zigzag."""
        zigzag = self.zigzag[1].flit_hops
        return self.load.flit_hops / zigzag if zigzag else 1.0

    @cached_property
    def per_sample(self) -> float:
        """Predicted cycles per sample."""
        return self.cycles(self.placement, self.load)

    def cycles(self, placement: Placement, found: Load) -> float:
        """Predicted cycles per sample of a placement with its load: with its traffic in time, or else of the cores, or
        of its hottest link where that takes longer."""
        return self.timing(placement) if self.timing else self.floor(found.peak)

    def floor(self, peak: float) -> float:
        """Cycles per sample that the cores take, or the hottest link where that takes longer."""
        return max(self.mapping.prediction.per_sample, peak)


@dataclass(frozen=True)
class Row:
    """What a placer makes of some seeds: flits x hops, flits on the hottest link, predicted cycles per sample, seconds.
    """

    flit_hops: tuple[float, ...]
    peaks: tuple[float, ...]
    cycles: tuple[float, ...]
    seconds: float


def check_choice(
    network: Network, lanes: int, mesh: MeshConfig, batch: int, cores: int | None, partition: str | None,
    placing: Placing,
) -> Partition | None:  # fmt: skip
    """The partition that was given, if one was, before anything is searched.

    Raises :class:`TridentError` as :meth:`Placing.check` does, for the latency of what works layer by layer, and for a
    partition or placement that does not fit the mesh.
    """
    placing.check()
    if placing.objective == LATENCY and network.norms:
        raise TridentError(
            "the objective latency is of samples that flow from layer to layer; copies of a network with norms work "
            "layer by layer: choose flit-hops or peak-link"
        )
    given = None if partition is None else Partition.parse(partition, network, lanes)
    if given and given.cores > (cores or mesh.cores):
        raise TridentError(
            f"partition {given} has {given.cores} cores, the mesh {mesh.width}x{mesh.height} has {mesh.cores}"
            + (f", of which {cores} are to be used" if cores else "")
        )
    if given and given.replicas > batch:
        raise TridentError(f"partition {given} has {given.replicas} replicas for a batch of {batch} samples")
    if (placement := placing.placement) is not None:
        parse_placement(placement, given.cores if given else placement.count(",") + 1, mesh)
    return given


def make_map(
    cost: CostModel,
    mesh: MeshConfig,
    batch: int,
    cores: int | None = None,
    partition: str | None = None,
    placing: Placing | None = None,
    seed: int = 0,
) -> Map:
    """Partition (or take ``partition``) and place.

    Raises :class:`TridentError` for what does not fit, an unknown placer, and a wrong partition or placement.
    """
    network, cfg, placing = cost.network, cost.cfg, placing or Placing()
    given = check_choice(network, cfg.lanes, mesh, batch, cores, partition, placing)
    mapping = Mapping(given, predict(cost, given, batch)) if given else find_partition(cost, mesh, batch, cores)
    flows = traffic(network, mapping.partition, cfg, mesh, batch)
    timing = None
    if placing.objective == LATENCY and mapping.partition.cores > 1:
        timing = Timing(workload_of(cost, mapping.partition, mapping.prediction, flows))
    if placing.placement is not None:
        chosen = parse_placement(placing.placement, mapping.partition.cores, mesh)
    else:
        chosen = place(placing, flows, mesh, seed, timing)
    zigzag = place(Placing("zigzag"), flows, mesh)
    draws = [load(flows, mesh, place(Placing("random"), flows, mesh, seed + n)) for n in range(RANDOM)]
    means = fmean(draw.flit_hops for draw in draws), fmean(draw.peak for draw in draws)
    beside = zigzag, load(flows, mesh, zigzag)
    return Map(network, cfg, mesh, mapping, flows, chosen, load(flows, mesh, chosen), beside, means, timing)


def compare(result: Map, placing: Placing, seed: int, seeds: int = SEEDS) -> dict[str, Row]:
    """Every placer with the same objective and budget on the traffic of a map, from ``seed`` on; once where nothing is
    drawn."""
    rows = {}
    for name, placer in PLACERS.items():
        began, how = perf_counter(), replace(placing, placer=name)
        found = [place(how, result.traffic, result.mesh, seed + number, result.timing)
                 for number in range(seeds if placer.drawn else 1)]  # fmt: skip
        seconds = (perf_counter() - began) / len(found)
        loads = [load(result.traffic, result.mesh, chosen) for chosen in found]
        rows[name] = Row(
            tuple(own.flit_hops for own in loads), tuple(own.peak for own in loads),
            tuple(map(result.cycles, found, loads)), seconds,
        )  # fmt: skip
    return rows
