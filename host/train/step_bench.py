"""The test bench of a whole chip: minibatches on the RTL and on golden, every memory compared bit by bit."""

from dataclasses import dataclass

import numpy as np

from trident.host.compile.chip_plan import MINIBATCH, ChipPlan
from trident.host.driver.driver import BatchResult, Driver, FlitPort
from trident.host.driver.session import ChipSession
from trident.host.train.compare import Comparator, Mismatch
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.spaces import Space, kept_spaces, raw_spaces
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.trace import Trace
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.losses import marked
from trident.snn.network.network import Network, Tensors
from trident.snn.network.partition import Partition
from trident.snn.neuron_settings import NeuronSettings


@dataclass(frozen=True)
class Expected:
    """What golden says about one minibatch: per sample its trace, the faults so far and every replica's gradients so
    far."""

    traces: list[Trace]
    counts: np.ndarray
    faults: list[np.ndarray]
    gradients: list[list[Tensors]]


class StepBench:
    """A network on the RTL of a chip and on the golden trainer, from the same weights.

    Raises what :class:`ChipPlan` and :class:`Driver` raise.
    """

    def __init__(
        self, network: Network, neuron: NeuronSettings, cfg: CoreConfig, chip: FlitPort, seed: int = 0,
        mesh: MeshConfig | None = None, partition: Partition | None = None, placement: tuple[int, ...] | None = None,
        minibatch: int = MINIBATCH,
    ):  # fmt: skip
        self.network, self.cfg, self.chip = network, cfg, chip
        self.golden = GoldenTrainer(network, neuron, cfg, seed, partition)
        plan = ChipPlan(network, cfg, mesh, partition, placement, minibatch)
        self.replicas = plan.partition.replicas
        self.session = ChipSession(Driver(chip, cfg, mesh), plan, self.golden.constants, seed)
        for space in (Space.WEIGHTS, *raw_spaces(cfg)):
            self.session.load(space, self.golden.bits(space))
        self.compare = Comparator(self.golden, self.session)
        self._updated = *kept_spaces(cfg), *raw_spaces(cfg)  # beside weights

    def step(
        self, spikes: np.ndarray, labels: np.ndarray, constants: UpdateConstants, loss_scale: float,
        wanted: np.ndarray | None = None,
    ) -> tuple[Mismatch | None, BatchResult]:
        """Train one minibatch, uint8 (N, T, y, x, c), on both, perhaps with soft targets ``wanted`` (N, classes).

        The samples run twice: without the update, so that the gradients can be compared, then from cleared gradients
        with it. Returns the first difference in the order of the data flow, or None, and what the last run returned.
        """
        golden, labels = self.golden, marked(labels, wanted)
        loss = golden.loss_constants(loss_scale, wanted)
        self.session.set_constants(constants, loss)
        raw = {space: golden.bits(space) for space in raw_spaces(self.cfg)}
        expected = self._expect(spikes, labels, loss)
        self._clear_gradients()
        found = self.session.run(spikes, labels, train=True, update=False)
        if mismatch := self._compare_samples(expected, found, len(labels)):
            first = None if self.network.norms else self._first_sample(expected, spikes, labels)
            return first or mismatch, found
        self._clear_gradients()
        for space, bits in raw.items():  # running means and variances
            self.session.load(space, bits)
        found = self.session.run(spikes, labels, train=True)
        golden.update(constants)
        mismatch = self.compare.samples(expected.traces) or self.compare.counts(expected.counts, found.counts)
        mismatch = mismatch or self.compare.state((*self._updated, Space.WEIGHTS, Space.GRADIENTS), "update")[1]
        return mismatch or self.compare.faults(golden.faults, found.faults), found

    def infer(self, spikes: np.ndarray) -> tuple[Mismatch | None, BatchResult]:
        """Only the forward pass of samples, uint8 (N, T, y, x, c)."""
        traces = [sample for trace in self.golden.infer(spikes) for sample in trace.samples()]
        counts = np.stack([self.golden.counts(trace) for trace in traces])
        found = self.session.run(spikes, np.zeros(len(spikes), np.int64), train=False)
        return self.compare.answers(counts, self.golden.faults, found) or self.compare.forward(traces), found

    def _expect(self, spikes, labels, loss) -> Expected:
        traces, faults, gradients = [], [], []
        for trace in self.golden.train(spikes, labels, loss, at_once=1):  # with a norm all samples together
            own = list(trace.samples())
            traces += own
            faults += [self.golden.faults.copy()] * len(own)
            found = [self.golden.bits(Space.GRADIENTS, replica) for replica in range(self.replicas)]
            gradients += [found] * len(own)
        return Expected(traces, np.stack([self.golden.counts(trace) for trace in traces]), faults, gradients)

    def _first_sample(self, expected: Expected, spikes, labels) -> Mismatch | None:
        """Run ever more of the samples until they differ: the memories then hold the sample that did."""
        for count in range(1, len(labels) + 1):
            self._clear_gradients()
            found = self.session.run(spikes[:count], labels[:count], train=True, update=False)
            if mismatch := self._compare_samples(expected, found, count):
                return mismatch
        return None

    def _clear_gradients(self):
        zeros = {name: np.zeros(shape, np.uint32) for name, shape in self.network.tensors.items()}
        self.session.load(Space.GRADIENTS, zeros)

    def _compare_samples(self, expected: Expected, found: BatchResult, count: int) -> Mismatch | None:
        """After a run of the first ``count`` samples without an update, in the order of the data flow."""
        if mismatch := self.compare.samples(expected.traces[:count]):
            return mismatch
        for replica, wanted in enumerate(expected.gradients[count - 1]):
            gradients = self.session.read(Space.GRADIENTS, replica)
            if mismatch := self.compare.tensors(
                Space.GRADIENTS, wanted, gradients, replica, sample=count - 1, reverse=True
            ):
                return mismatch
        return self.compare.answers(expected.counts[:count], expected.faults[count - 1], found)
