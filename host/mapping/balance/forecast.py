"""A network spread over a mesh by balance: what `map` shows of it without a core that could run it."""

from dataclasses import dataclass
from math import prod

from trident.host.mapping.balance.demand import Demand, demands
from trident.host.mapping.balance.flows import flows_of
from trident.host.mapping.balance.spread import Spread, spread
from trident.host.mapping.balance.timed import workload_of
from trident.host.mapping.placement import LATENCY, Placement, Placing, place
from trident.host.mapping.timing.simulate import Timing
from trident.host.mapping.traffic import Load, Traffic, load
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.snn.network.network import Network

BALANCED = 1.25  # the largest load over the mean, with which no more replicas are tried
DENSITY = 0.2  # of spikes and errors
LARGEST = 1 << 24  # values that a layer reads or makes
MIB = 8 * 2**20  # bits


@dataclass(frozen=True, eq=False)
class Forecast:
    """``replicas`` copies of a network, each spread over the same number of cores of a mesh; zigzag: the load of that
    placement; cycles: per sample in a full pipeline with the traffic in time, where the latency is the objective."""

    network: Network
    mesh: MeshConfig
    found: Spread
    replicas: int
    traffic: Traffic
    placement: Placement
    load: Load
    zigzag: Load
    cycles: float | None = None

    @property
    def cores(self) -> int:
        """Cores in use."""
        return self.replicas * self.found.cores

    @property
    def period(self) -> float:
        """Predicted cycles per sample in a full pipeline: those of the longest engine of all cores, or of the hottest
        link where that takes longer; or with the traffic in time."""
        return self.cycles or max(float(self.found.work.max()) / self.replicas, self.load.peak)


def check_network(network: Network):
    """Raise :class:`TridentError` for a layer of more than :data:`LARGEST` values, for grouped convolutions, and for a
    norm, whose statistics cores that share its layer do not merge."""
    for layer in network.layers:
        if (most := max(prod(layer.image), prod(layer.sum_shape))) > LARGEST:
            raise TridentError(f"{layer.node} reads or makes {most:,} values, a forecast of balance takes {LARGEST:,}")
    if network.grouped:
        raise TridentError(f"{network.grouped[0].node} is a grouped convolution: balance has none")
    if network.norms:
        raise TridentError(f"{network.norms[0]} needs whole layers: cores that share one merge no statistics")


def check_room(asked: list[Demand], mesh: MeshConfig, batch: int, memory: float | None):
    """Raise :class:`TridentError` for demands that do not fit a mesh whose cores have so many KiB each, or cannot be
    cut into a piece for every core."""
    if memory is not None:
        needed, there = sum(demand.loads[-1, 3] for demand in asked) / MIB, mesh.cores * memory / 1024
        if needed > there:
            raise TridentError(
                f"the network takes {needed:,.1f} MiB, the {mesh.cores} cores of the mesh {mesh.width}x{mesh.height} "
                f"have {there:,.1f} MiB"
            )
    if (most := batch * sum(demand.granules for demand in asked)) < mesh.cores:
        raise TridentError(
            f"the mesh {mesh.width}x{mesh.height} has {mesh.cores} cores, a network for each of {batch} samples can be "
            f"cut into {most} pieces"
        )


def balance(
    network: Network, cfg: CoreConfig, mesh: MeshConfig, batch: int, placing: Placing | None = None, seed: int = 0,
    density: float = DENSITY, memory: float | None = None,
) -> Forecast:  # fmt: skip
    """Spread a network over all cores and place it: as few replicas, a power of two, as are balanced within
    :data:`BALANCED`, or those with the least difference.

    density: share of spikes and errors that are not zero; memory: KiB of a core, None: as much as is wanted. Raises
    :class:`TridentError` as :func:`check_network`, :func:`check_room` and :meth:`Placing.check` do, and where a core
    would need more memory.
    """
    placing = placing or Placing()
    placing.check()
    check_network(network)
    asked = demands(network, cfg, density, mesh.cores)
    check_room(asked, mesh, batch, memory)
    found, replicas = _replicated(asked, mesh.cores, batch)
    if memory is not None and (most := float(found.bits.max())) > memory * 8192:
        raise TridentError(
            f"the network as evenly spread as is found takes {most / MIB:,.2f} MiB of the largest core, which has "
            f"{memory / 1024:,.2f} MiB"
        )
    flows = flows_of(network, found, replicas, cfg, mesh, batch)
    timing = None
    if placing.objective == LATENCY:
        timing = Timing(workload_of(network, found, replicas, cfg, mesh, batch))
    chosen, zigzag = place(placing, flows, mesh, seed, timing), place(Placing("zigzag"), flows, mesh)
    loads = load(flows, mesh, chosen), load(flows, mesh, zigzag)
    return Forecast(network, mesh, found, replicas, flows, chosen, *loads, timing(chosen) if timing else None)


def _replicated(asked: list[Demand], cores: int, batch: int) -> tuple[Spread, int]:
    """The spread over the cores of a replica, and how many replicas there are."""
    best, replicas, granules = None, 1, sum(demand.granules for demand in asked)
    while replicas <= min(batch, cores):
        if cores // replicas <= granules:
            found = spread(asked, cores // replicas)
            if best is None or found.worst < best[0].worst:
                best = found, replicas
            if found.worst <= BALANCED:
                break
        replicas *= 2
    assert best is not None
    return best
