"""A network on a mesh: partitioned, placed, and compared with other placements."""

from dataclasses import dataclass
from statistics import fmean

from trident.host.mapping.cost import CostModel
from trident.host.mapping.placement import PLACERS, Placement, parse_placement, place
from trident.host.mapping.prediction import predict
from trident.host.mapping.search import Mapping, find_partition
from trident.host.mapping.traffic import Load, Traffic, load, traffic
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

RANDOM = 100  # placements that the mean of random ones is over
SAMPLES = 4  # whose spikes and errors the cost model walks over


@dataclass(frozen=True)
class Map:
    """Everything that ``map`` shows: where each slice of a network is, what it costs, and what its links carry.

    compared: flits x hops and hottest link of every placer; random: the means over :data:`RANDOM` placements.
    """

    network: Network
    cfg: CoreConfig
    mesh: MeshConfig
    mapping: Mapping
    traffic: Traffic
    placement: Placement
    load: Load
    compared: dict[str, Load]
    random: tuple[float, float]

    @property
    def placement_ratio(self) -> float:
        """Flits x hops over those of the mean random placement."""
        return self.load.flit_hops / self.random[0] if self.random[0] else 1.0

    @property
    def per_sample(self) -> float:
        """Predicted cycles per sample: of the cores, or of the hottest link where that takes longer."""
        return max(self.mapping.prediction.per_sample, self.load.peak)


def check_choice(
    network: Network, lanes: int, mesh: MeshConfig, batch: int, cores: int | None, partition: str | None, placer: str,
    placement: str | None,
) -> Partition | None:  # fmt: skip
    """The partition that was given, if one was, before anything is searched.

    Raises :class:`TridentError` for an unknown placer, and for a partition or placement that does not fit the mesh.
    """
    if placer not in PLACERS:
        raise TridentError(f"unknown placer {placer!r}: choose one of {', '.join(PLACERS)}")
    if network.norms and (cores or mesh.cores) > 1:
        raise TridentError(f"{network.norms[0]} needs a network on one core: cores merge no statistics")
    given = None if partition is None else Partition.parse(partition, network, lanes)
    if given and given.cores > (cores or mesh.cores):
        raise TridentError(
            f"partition {given} has {given.cores} cores, the mesh {mesh.width}x{mesh.height} has {mesh.cores}"
            + (f", of which {cores} are to be used" if cores else "")
        )
    if given and given.replicas > batch:
        raise TridentError(f"partition {given} has {given.replicas} replicas for a batch of {batch} samples")
    if placement is not None:
        parse_placement(placement, given.cores if given else placement.count(",") + 1, mesh)
    return given


def make_map(
    cost: CostModel,
    mesh: MeshConfig,
    batch: int,
    cores: int | None = None,
    partition: str | None = None,
    placer: str = "anneal",
    placement: str | None = None,
    seed: int = 0,
) -> Map:
    """Partition (or take ``partition``), place (or take ``placement``) and compare.

    Raises :class:`TridentError` for what does not fit, an unknown placer, and a wrong partition or placement.
    """
    network, cfg = cost.network, cost.cfg
    given = check_choice(network, cfg.lanes, mesh, batch, cores, partition, placer, placement)
    mapping = Mapping(given, predict(cost, given, batch)) if given else find_partition(cost, mesh, batch, cores)
    flows = traffic(network, mapping.partition, cfg, mesh, batch)
    placements = {name: place(name, flows, mesh, seed) for name in PLACERS if name != "random"}
    compared = {name: load(flows, mesh, chosen) for name, chosen in placements.items()}
    draws = [load(flows, mesh, place("random", flows, mesh, seed + n)) for n in range(RANDOM)]
    if placement is not None:
        chosen = parse_placement(placement, mapping.partition.cores, mesh)
    else:
        chosen = placements[placer] if placer in placements else place(placer, flows, mesh, seed)
    means = fmean(draw.flit_hops for draw in draws), fmean(draw.peak for draw in draws)
    return Map(network, cfg, mesh, mapping, flows, chosen, load(flows, mesh, chosen), compared, means)
