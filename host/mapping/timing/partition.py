"""The workload of a partition: what its cores do and send in a minibatch."""

from dataclasses import astuple

from trident.host.mapping.cost import CostModel
from trident.host.mapping.prediction import CoreCost, Prediction
from trident.host.mapping.timing.workload import Unit, Workload, drains_of, streams_of
from trident.host.mapping.traffic import Traffic
from trident.snn.network.partition import Partition

BARRIER = 4  # cycles per column and row: a token from the last core to the host, and one from there to all


def workload_of(cost: CostModel, partition: Partition, prediction: Prediction, traffic: Traffic) -> Workload:
    """A minibatch of a partition, its units are its logical cores."""
    cfg, mesh, batch = cost.cfg, cost.mesh, prediction.batch
    units = tuple(
        _unit(core, replica * partition.members + member, partition.samples(batch, replica), partition)
        for replica in range(partition.replicas)
        for member, core in enumerate(prediction.members)
    )
    drains = drains_of(cfg, mesh)
    reduce = max(core.weight_rows for core in prediction.members) * cost.reduce_row
    streams = streams_of(traffic, units, batch, False, drains, reduce)
    rest = prediction.update + BARRIER * (mesh.width + mesh.height)
    return Workload(mesh, partition.cores, units, streams, cfg.shared_engine, False, batch, rest, drains)


def _unit(core: CoreCost, number: int, samples: int, partition: Partition) -> Unit:
    """A core's engines with what starting jobs takes them."""
    cycles = core.cycles
    forward, backward, weight_grad = (
        own + core.wait * jobs for own, jobs in zip(astuple(cycles), astuple(core.starts), strict=True)
    )
    longest = forward + backward + weight_grad if core.shared else max(forward, backward, weight_grad)
    more = max(1.0, core.work / longest) if longest else 1.0  # the sequencer, or the controller, is what takes longest
    local = core.local / cycles.backward if cycles.backward else 0.0
    last_stage = core.stage == len(partition.stages) - 1
    return Unit(
        core=number, forward=more * forward, local=more * backward * local, away=more * backward * (1 - local),
        weight_grad=more * weight_grad, last_gradient=more * core.last_gradient,
        loss=core.errors_in if last_stage else 0.0, slots=core.slots, error_slots=core.error_slots, samples=samples,
    )  # fmt: skip
