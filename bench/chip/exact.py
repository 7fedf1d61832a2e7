"""Exact sums: the deep network on ten partitions, from one core to twenty, against its weights on one core."""

from collections.abc import Iterator

import numpy as np

from trident.bench.chip.meshes import Minibatches
from trident.host.mapping.chip_choice import ChipChoice
from trident.host.report.figure import Figure
from trident.host.train.spec import RunSpec
from trident.hw.isa.spaces import Space
from trident.snn.network.defaults import DEEP
from trident.snn.network.network import Tensors

# The mesh of each partition of the six layers: pipelines, slices of layers, replicas, and all of them mixed
PARTITIONS = {
    "1-3,4-6": "2x1", "2x1-6": "2x1", "1-2,3,4,5-6": "2x2", "4x1-6": "2x2", "1,2/2,3,4,5-6": "3x2", "3x1-3,4-6": "3x2",
    "1/3,2/3,3-6": "4x3", "2x1,2/2,3/2,4-6": "4x3", "1,2/2,3/2,4/4,5/4,6/4": "5x4", "5x1-2,3,4,5-6": "5x4",
}  # fmt: skip
# One core for all of them, which holds the whole network
CORE = {
    "gradient_bits": 48, "timesteps": 4, "accumulators": 32, "weight_rows": 8192, "spike_words": 8192,
    "error_words": 2048, "jobs": 64, "program_words": 128,
}  # fmt: skip
MINIBATCHES = 2


def trained(partition: str | None) -> Tensors:
    """Weights and momenta, as raw bits, that some minibatches of digits have left on the RTL of one core or of a mesh.

    Raises :class:`Divergence` where RTL and golden differ.
    """
    chip = ChipChoice(PARTITIONS[partition], partition=partition) if partition else None
    train = {"batch": DEEP.train["batch"]}
    spec = RunSpec.make(net=DEEP.net, preset="TINY", neuron=DEEP.neuron, train=train, core=dict(CORE), chip=chip)
    minibatches = Minibatches(spec)
    for _ in range(MINIBATCHES):
        minibatches.run()
    session, last = minibatches.learner.session, spec.plan.partition.replicas - 1
    spaces = (Space.WEIGHTS, Space.MOMENTUM)
    found = {f"{space}.{name}": bits for space in spaces for name, bits in session.read(space, last).items()}
    minibatches.close()
    return found


def measure_exact(only: str) -> Iterator[Figure]:
    """How many weights and momenta of all partitions differ from those of one core."""
    one, differing = trained(None), 0
    for partition in PARTITIONS:
        found = trained(partition)
        differing += sum(int(np.count_nonzero(found[name] != one[name])) for name in one)
    yield Figure("exact.partitions.count", "partitions", len(PARTITIONS), "higher")
    yield Figure("exact.partitions.bits_differing", "values", differing, "lower", 0)
