"""Search of the partition that trains a network in the fewest cycles per sample on a mesh of equal cores."""

import re
from dataclasses import dataclass, replace
from functools import cache

from host.cost import CostModel
from host.partition import Partition, Stage, even_cuts
from host.prediction import Prediction, core_cost, predict, slices
from hw.errors import TridentError
from hw.noc.config import MeshConfig


@dataclass(frozen=True)
class DeepTraining:
    """A network for many cores, and the settings with which it learns.

    neuron, train, core : fields of :class:`host.settings.NeuronSettings`, :class:`host.settings.TrainSettings` and
    :class:`hw.config.CoreConfig` that differ from the defaults and the preset
    """

    net: str
    preset: str
    neuron: dict
    train: dict
    core: dict


DEEP = DeepTraining(
    net="8x8x1-8c3-12c3s2-12c3-16c3s2-32-10",
    preset="FPGA",
    neuron={"leak": 1.0, "threshold": 0.375, "window": 0.75},
    train={"batch": 60, "learning_rate": 0.25, "momentum": 0.9, "halve_every": 5, "epochs": 10},
    core={"spike_words": 4096, "error_words": 512},
)


@dataclass(frozen=True)
class Mapping:
    """A partition and what is predicted of it."""

    partition: Partition
    prediction: Prediction


def find_partition(cost: CostModel, mesh: MeshConfig, batch: int, cores: int | None = None) -> Mapping:
    """The partition with the fewest predicted cycles per minibatch of ``batch`` samples on at most ``cores`` cores.

    For every number of replicas, cores per replica and stages, dynamic programming over the layers finds the stages
    whose slowest core is fastest; the prediction of the whole minibatch chooses among those. Equal ones: fewer cores.
    Raises :class:`TridentError`, with the numbers, when the network does not fit.
    """
    network, lanes = cost.network, cost.cfg.lanes
    available = mesh.cores if cores is None else cores
    if not 1 <= available <= mesh.cores:
        raise TridentError(f"cores must be from 1 to {mesh.cores} on a mesh {mesh.width}x{mesh.height}, not {cores}")
    count = len(network.layers)

    @cache
    def stages_from(layer: int) -> tuple[tuple[Stage, int, float], ...]:
        """Stages that begin with ``layer``: the stage, its cores, and its slowest core's cycles per sample."""
        found = []
        for last in range(layer, count):
            outputs = network.layers[last].out_channels
            groups = -(-outputs // lanes)
            for split in range(1, min(groups, available) + 1 if last == layer else 2):
                stage = Stage(layer, last, tuple(even_cuts(outputs, split, lanes)))
                costs = [core_cost(cost, stage, first, end, 0) for first, end in slices(stage)]
                if any(isinstance(core, str) for core in costs):
                    continue
                # While a sample's errors come in, those of the sample before are in use: with one slot, in turn
                waits = [2 * core.backward_latency / core.error_slots for core in costs]
                found.append((stage, split, max(*waits, *(core.cycles.longest for core in costs))))
        return tuple(found)

    @cache
    def best(layer: int, cores: int, stages: int) -> tuple[float, tuple[Stage, ...]] | None:
        """The fastest way to put the layers from ``layer`` on so many cores in so many stages."""
        if layer == count:
            return (0.0, ()) if cores == stages == 0 else None
        found = None
        if stages <= min(cores, count - layer):
            for stage, split, cycles in stages_from(layer) if stages else ():
                rest = best(stage.last + 1, cores - split, stages - 1) if split <= cores else None
                if rest and (found is None or max(cycles, rest[0]) < found[0]):
                    found = max(cycles, rest[0]), (stage, *rest[1])
        return found

    mappings = []
    for members in range(1, available + 1):
        for stages in range(1, min(members, count) + 1):
            if not (way := best(0, members, stages)):
                continue
            # As many replicas as there is room for, or fewer if some would have no sample
            partition = Partition(min(available // members, batch), way[1])
            mappings.append(Mapping(partition, predict(cost, partition, batch)))
    if not mappings:
        raise TridentError(_too_small(cost, mesh, available))
    return min(mappings, key=lambda m: (round(m.prediction.cycles, 3), m.partition.cores, str(m.partition)))


def mesh_of(text: str | None, cores: int | None, mesh: MeshConfig) -> MeshConfig:
    """``mesh`` with the size that ``text`` says ("5x4": width, height), or the squarest with exactly ``cores`` cores.

    Raises :class:`TridentError` for a text that is no size, for a size over the limits, and for a number of cores that
    no mesh within them has.
    """
    if text is not None:
        match = re.fullmatch(r"(\d+)x(\d+)", text.strip())
        if not match:
            raise TridentError(f"a mesh is given as WIDTHxHEIGHT, as in 5x4, not {text!r}")
        return replace(mesh, width=int(match.group(1)), height=int(match.group(2)))
    if cores is None:
        return mesh
    sizes = [(width, cores // width) for width in range(1, 9) if cores % width == 0 and cores // width in range(1, 9)]
    if not sizes:
        raise TridentError(f"no mesh of up to 8x8 has exactly {cores} cores: name the mesh and use some of its cores")
    width, height = min(sizes, key=lambda size: (abs(size[0] - size[1]), -size[0]))
    return replace(mesh, width=width, height=height)


def _too_small(cost: CostModel, mesh: MeshConfig, available: int) -> str:
    """Why the network does not fit: a layer that cannot be cut small enough, or too few cores."""
    network, lanes = cost.network, cost.cfg.lanes
    needed = [0] + [0] * len(network.layers)  # least cores for the layers before this one
    for end in range(1, len(needed)):
        options = []
        for first in range(end):
            outputs = network.layers[end - 1].out_channels
            for split in range(1, -(-outputs // lanes) + 1 if first == end - 1 else 2):
                stage = Stage(first, end - 1, tuple(even_cuts(outputs, split, lanes)))
                costs = [core_cost(cost, stage, *channels, 0) for channels in slices(stage)]
                if not any(isinstance(core, str) for core in costs):
                    options.append(needed[first] + split)
                    break
        if not options:
            reason = next(core for core in costs if isinstance(core, str))
            return f"layer {end} ({network.layers[end - 1]}) does not fit: a slice of {lanes} channels needs {reason}"
        needed[end] = min(options)
    there = f"the mesh {mesh.width}x{mesh.height} has {mesh.cores}"
    if available < mesh.cores:
        there = f"{available} are to be used"
    return f"the network needs at least {needed[-1]} cores of this preset, {there}"
