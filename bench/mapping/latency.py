"""What placements are worth in cycles: large networks with their traffic in time, placed in every way."""

from collections.abc import Iterator
from statistics import fmean
from time import process_time

from trident.bench.mapping.balance import NETWORKS, SIDE
from trident.host.cli.balance import BATCH, core_for
from trident.host.mapping.balance.forecast import balance
from trident.host.mapping.balance.timed import workload_of
from trident.host.mapping.placement import OBJECTIVES, PLACERS, Placing, place
from trident.host.mapping.timing.simulate import Timing
from trident.host.report.figure import Figure
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

BUDGET, RANDOM = 2.0, range(5)


def measure_latency(only: str) -> Iterator[Figure]:
    """Cycles per sample of large networks on 64 cores, in a full pipeline with their traffic in time, over those of the
    placement that ``best`` finds for flits x hops: of the fixed orders, of random ones, and of the other objectives."""
    for name, net in NETWORKS.items():
        figure = f"map.latency.{name}"
        if not (figure.startswith(only) or only.startswith(figure)):
            continue
        network = Network.parse(net, bias=False)
        cfg = core_for(network, NeuronSettings(), None, {})
        mesh = mesh_for(cfg, MeshConfig(width=SIDE, height=SIDE))
        result = balance(network, cfg, mesh, BATCH, Placing("zigzag"))
        timing = Timing(workload_of(network, result.found, result.replicas, cfg, mesh, BATCH))
        cycles = {}
        for objective in OBJECTIVES:
            chosen = place(Placing(objective=objective, budget=BUDGET), result.traffic, mesh, 0, timing)
            began = process_time()
            cycles[objective] = timing(chosen)
            seconds = process_time() - began
        for placer in (name for name, own in PLACERS.items() if not own.searches):
            seeds = RANDOM if PLACERS[placer].drawn else (0,)
            cycles[placer] = fmean(timing(place(Placing(placer), result.traffic, mesh, seed)) for seed in seeds)
        hops = cycles.pop("flit-hops")
        yield Figure(f"{figure}.flit-hops.cycles", "cycles", hops, "lower")
        yield Figure(f"{figure}.flit-hops.of_work", "ratio", hops / result.found.work.max() * result.replicas, "lower")
        yield Figure(f"{figure}.seconds", "s", seconds, "lower")
        for way, found in cycles.items():
            yield Figure(f"{figure}.{way}", "ratio", found / hops, "lower")
