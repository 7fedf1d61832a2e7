"""Search of the partition that trains a network in the fewest cycles per sample on a mesh of equal cores."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from trident.host.mapping.cost import CostModel
from trident.host.mapping.prediction import Prediction, core_cost, predict, receiving, slices
from trident.hw.errors import TridentError
from trident.hw.isa.job import FAN
from trident.hw.isa.mesh import PROGRAMMED, MeshConfig
from trident.snn.network.layers import Layer
from trident.snn.network.partition import Partition, Stage, even_cuts, undivided


@dataclass(frozen=True)
class Mapping:
    """A partition and what is predicted of it."""

    partition: Partition
    prediction: Prediction


def find_partition(cost: CostModel, mesh: MeshConfig, batch: int, cores: int | None = None) -> Mapping:
    """The partition with the fewest predicted cycles per minibatch of ``batch`` samples on at most ``cores`` cores.

    For every number of replicas, cores per replica and stages, dynamic programming over the layers finds the stages
    whose slowest core is fastest; the prediction of the whole minibatch chooses among those. Equal ones: fewer cores.
    As many replicas as there is room for or, of a network with norms, whose sums go from replica to replica, as many as
    are fastest. Raises :class:`TridentError`, with the numbers, when the network does not fit.
    """
    network, lanes = cost.network, cost.cfg.lanes
    available = mesh.cores if cores is None else cores
    if not 1 <= available <= mesh.cores:
        raise TridentError(f"cores must be from 1 to {mesh.cores} on a mesh {mesh.width}x{mesh.height}, not {cores}")
    layers, whole = network.layers, cost.whole_output

    @cache
    def best(layer: int, cores: int, stages: int, below: int) -> tuple[float, tuple[Stage, ...]] | None:
        """The fastest way to put the layers from ``layer`` on so many cores in so many stages, if the layer that the
        first of them reads is on ``below`` cores."""
        if layer == len(layers):
            return (0.0, ()) if cores == stages == 0 else None
        found = None
        source = layers[layer].sources[0]
        cuts = () if source is None else tuple(even_cuts(layers[source].out_channels, below, lanes))
        for stage in _stages_from(layers, layer, cores, lanes, whole) if 0 < stages <= cores else ():
            rest = best(stage.last + 1, cores - stage.cores, stages - 1, stage.cores)
            if rest is None or (found and rest[0] >= found[0]):
                continue
            costs = [core_cost(cost, stage, share, cuts, 0, 1) for share in slices(stage)]
            if any(isinstance(core, str) for core in costs):
                continue
            receive = receiving(cost, stage, rest[1][0] if rest[1] else None)
            slowest = max(core.period(errors_in) for core, errors_in in zip(costs, receive, strict=True))
            if found is None or max(slowest, rest[0]) < found[0]:
                found = max(slowest, rest[0]), (stage, *rest[1])
        return found

    mappings, missing = [], ""
    alone = undivided(network) is not None
    for members in range(1, 2 if alone else min(available, FAN * len(layers)) + 1):
        for stages in range(1, min(members, len(layers)) + 1):
            if way := best(0, members, stages, 0):
                most = min(available // members, batch)  # or some would have no sample
                for replicas in range(1, most + 1) if network.norms else (most,):
                    partition = Partition(replicas, way[1])
                    if multicast_groups(partition) > mesh.groups:
                        continue
                    try:
                        mappings.append(Mapping(partition, predict(cost, partition, batch)))
                    except TridentError as fault:  # samples of a minibatch
                        if not network.norms:
                            raise
                        missing = str(fault)
    if not mappings:
        raise TridentError(missing or (_too_large(cost) if alone else _too_small(cost, mesh, available)))
    return min(mappings, key=lambda m: (round(m.prediction.cycles, 3), m.partition.cores, str(m.partition)))


def multicast_groups(partition: Partition) -> int:
    """Sets of several cores that one core, or the host, sends to: the next stage's, and the other
    replicas' peers."""
    sizes = [1, *(stage.cores for stage in partition.stages)]
    per_replica = sum(before for before, after in pairwise(sizes) if after > 1)
    return partition.replicas * per_replica + partition.members * (partition.replicas > 2)


def _stages_from(layers: tuple[Layer, ...], first: int, cores: int, lanes: int, whole: bool) -> Iterator[Stage]:
    """Stages of at most ``cores`` cores that begin with layer ``first``, split evenly; ``whole``: but not the last."""
    for last in range(first, len(layers)):
        outputs = layers[last].out_channels
        split = last == first and not (whole and last == len(layers) - 1)
        most = min(-(-outputs // lanes), cores, FAN) if split else min(cores, 1)
        for slices_ in range(1, most + 1):
            yield Stage(first, last, tuple(even_cuts(outputs, slices_, lanes)))


def mesh_of(text: str | None, cores: int | None, mesh: MeshConfig) -> MeshConfig:
    """``mesh`` with the size that ``text`` says ("5x4": width, height), or the squarest with exactly ``cores`` cores.

    Raises :class:`TridentError` for a text that is no size, for a size over the limits, and for a number of cores that
    no mesh within them has.
    """
    if text is not None:
        match = re.fullmatch("([0-9]{1,4})x([0-9]{1,4})", text.strip())
        if not match:
            raise TridentError(f"a mesh is given as WIDTHxHEIGHT, as in 5x4, not {text!r}")
        return replace(mesh, width=int(match.group(1)), height=int(match.group(2)))
    if cores is None:
        return mesh
    sides = range(1, PROGRAMMED + 1)
    sizes = [(width, cores // width) for width in sides if cores % width == 0 and cores // width in sides]
    if not sizes:
        raise TridentError(
            f"no mesh of up to {PROGRAMMED}x{PROGRAMMED} has exactly {cores} cores: name the mesh and use some of its "
            "cores"
        )
    width, height = min(sizes, key=lambda size: (abs(size[0] - size[1]), -size[0]))
    return replace(mesh, width=width, height=height)


def _too_large(cost: CostModel) -> str:
    """Why a network that is on one core does not fit it."""
    outputs = cost.network.layers[-1].out_channels
    stage = Stage(0, len(cost.network.layers) - 1, (0, outputs))
    return f"the network, which is on one core, needs {core_cost(cost, stage, (0, outputs), (), 0, 1)}"


def _too_small(cost: CostModel, mesh: MeshConfig, available: int) -> str:
    """Why the network does not fit: a layer that cannot be cut small enough, or too few cores."""
    layers, lanes, whole = cost.network.layers, cost.cfg.lanes, cost.whole_output
    needed = [0] + [0] * len(layers)  # least cores for the layers before this one
    for end in range(1, len(needed)):
        options, smallest = [], ""
        for stage in (s for first in range(end) for s in _stages_from(layers, first, FAN, lanes, whole)):
            if stage.last == end - 1:
                faults = [core_cost(cost, stage, share, (), 0, 1) for share in slices(stage)]
                fault = next((fault for fault in faults if isinstance(fault, str)), None)
                if fault is None:
                    options.append(needed[stage.first] + stage.cores)
                elif stage.first == stage.last:
                    smallest = f"of {stage.cores} cores with a slice each, one needs {fault}"
        if not options:
            return f"layer {end} ({layers[end - 1]}) does not fit: {smallest}"
        needed[end] = min(options)
    limit = f", of which at most {available} may be used" if available < mesh.cores else ""
    there = f"the mesh {mesh.width}x{mesh.height} has {mesh.cores}{limit}"
    return f"the network needs at least {needed[-1]} cores of this preset, {there}"
