"""The workload of a network that is spread by balance: its pieces, in a full pipeline."""

from trident.host.mapping.balance.flows import flows_of
from trident.host.mapping.balance.spread import Spread
from trident.host.mapping.timing.workload import AHEAD_SLOTS, Unit, Workload, drains_of, streams_of
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import ERROR_SLOTS
from trident.hw.isa.mesh import MeshConfig
from trident.snn.network.network import Network


def workload_of(
    network: Network, found: Spread, replicas: int, cfg: CoreConfig, mesh: MeshConfig, batch: int
) -> Workload:
    """Every piece of every replica is a unit, which shares its core's engines with the others there."""
    traffic = flows_of(network, found, replicas, cfg, mesh, batch, apart=True)
    units = []
    for replica in range(replicas):
        samples = len(range(replica, batch, replicas))
        for demand, pieces in zip(found.demands, found.pieces, strict=True):
            for core, granules in pieces.items():
                forward, backward, weight_grad, _ = demand.loads[granules]
                units.append(Unit(replica * found.cores + core, forward, 0.0, backward, weight_grad, 0.0, 0.0,
                                  AHEAD_SLOTS, ERROR_SLOTS, samples))  # fmt: skip
    drains = drains_of(cfg, mesh)
    streams = streams_of(traffic, units, batch, True, drains)
    return Workload(mesh, replicas * found.cores, tuple(units), streams, False, True, batch, 0.0, drains)
