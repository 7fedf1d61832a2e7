"""One minibatch on the RTL and, beside it, on the golden trainer and the float32 twin: the same samples, compared."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from trident.host.compile.chip_plan import ChipPlan
from trident.host.train.chip_learner import ChipLearner, ClosablePort
from trident.host.train.compare import Comparator, Divergence, Mismatch
from trident.host.train.rates import Rates
from trident.host.train.tally import Tally
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import Fault
from trident.hw.isa.spaces import Space, trained_spaces
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import to_values
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.twin import FloatTwin
from trident.snn.losses import marked
from trident.snn.network.network import Tensors
from trident.snn.neuron_settings import NeuronSettings
from trident.snn.train_settings import TrainSettings

CHUNK = 64  # test samples per run of the core


def state_spaces(cfg: CoreConfig) -> dict[str, Space]:
    """The memories that a run goes on from, by name."""
    return {space.name.lower(): space for space in trained_spaces(cfg)}


@dataclass(frozen=True)
class BatchStep:
    """A minibatch on all three models: spike counts of RTL (equal to golden's), what float32 returned, per layer the
    share of neurons that fired and of errors that are zero, whether the update was skipped, and whether because of what
    the optimiser keeps."""

    counts: np.ndarray
    twin: dict
    firing_rate: np.ndarray
    gradient_sparsity: np.ndarray
    skipped: bool
    moments: bool


class Lockstep:
    """A network on the RTL of a chip, on the golden trainer and on the float32 twin.

    Golden and twin run in a thread of their own while the simulation runs. Every comparison is on bits.
    """

    def __init__(
        self, plan: ChipPlan, neuron: NeuronSettings, settings: TrainSettings, chip: ClosablePort,
        engines: str = "numpy",
    ):  # fmt: skip
        self.plan, self.network, self.cfg = plan, plan.network, plan.cfg
        self.state = state_spaces(plan.cfg)
        self.loss, self.most = settings.losses(plan.network.classes), plan.network.most_spikes(plan.cfg.steps)
        self.golden = GoldenTrainer(
            plan.network, neuron, plan.cfg, settings.seed, plan.partition, engines, self.loss
        )
        self.twin = FloatTwin(plan.network, neuron, settings)
        self.learner = ChipLearner(plan, self.golden.constants, chip, self.loss, settings.seed)
        self.compare = Comparator(self.golden, self.learner.session)
        self.load_state(self.golden_state())
        # Threads of BLAS would only take the processor from the simulation
        self._helper = ThreadPoolExecutor(1, "golden", initializer=threadpool_limits, initargs=(1,))

    def close(self):
        """End the helper thread."""
        self._helper.shutdown()

    # Training
    def train(self, spikes: np.ndarray, labels: np.ndarray, constants: UpdateConstants, scale: float, epoch: float,
              where: str, wanted: np.ndarray | None = None) -> BatchStep:  # fmt: skip
        """One minibatch, uint8 (N, T, y, x, c), with its update; ``where`` names it in messages. ``wanted``: soft
        targets (N, classes).

        An update that overflows is undone, and the minibatch counts as skipped: momenta carry a scale, and a smaller
        one may mend it. Whether it was momenta, golden knows, which has been compared. Raises :class:`Divergence` when
        counts or faults differ and :class:`NumericFault` for a fault that a smaller scale cannot mend.
        """
        loss, marks = self.golden.loss_constants(scale, wanted), marked(labels, wanted)
        beside = self._helper.submit(self._train_beside, spikes, labels, loss, constants, epoch, wanted)
        found = self.learner.run(spikes, marks, constants, scale, wanted)
        counts, activity, twin, before = beside.result()
        self._expect_none(self.compare.answers(counts, self.golden.faults, found), where, weights=True)
        undone = found.all_faults == 1 << Fault.UPDATE
        moments = undone and self.golden.moments_overflowed
        if undone:
            self.load_state(before)
        else:
            self.learner.check(found, where)
        return BatchStep(found.counts, twin, *activity, found.skipped or undone, moments)

    def _train_beside(self, spikes, labels, loss, constants, epoch, wanted):
        golden = self.golden
        counts, rates = [], Rates()
        for trace in golden.train(spikes, marked(labels, wanted), loss):
            counts.append(golden.counts(trace))
            rates.add(trace)
        before = self.golden_state()
        golden.update(constants)
        twin = self.twin.train_batch(spikes, labels, epoch, wanted)
        return np.concatenate(counts), rates.means, twin, before

    # Test
    def test(self, spikes: np.ndarray, labels: np.ndarray, where: str, stop) -> dict[str, Tally] | None:
        """Tallies by series over samples; None as soon as ``stop()`` is true."""
        tallies = {name: Tally() for name in ("RTL", "golden", "float32")}
        for start in range(0, len(labels), CHUNK):
            if stop():
                return None
            part, wanted = spikes[start : start + CHUNK], labels[start : start + CHUNK]
            beside = self._helper.submit(self._test_beside, part)
            found = self.learner.infer(part)
            counts, twin = beside.result()
            there = f"{where}, sample {start} and on"
            self._expect_none(self.compare.answers(counts, self.golden.faults, found), there)
            self.learner.check(found, where, training=False)
            for name, values in (("RTL", found.counts), ("golden", counts), ("float32", twin)):
                tallies[name].add(values, wanted, self.most, self.loss)
        return tallies

    def _test_beside(self, spikes):
        return self.golden.counts_of(self.golden.infer(spikes)), self.twin.infer(spikes)

    # State
    def golden_state(self) -> dict[str, Tensors]:
        """Weights, and what the optimiser keeps, of golden as raw bits."""
        return {name: self.golden.bits(space) for name, space in self.state.items()}

    def load_state(self, state: dict[str, Tensors]):
        """Give cores and golden weights and momenta, as :meth:`golden_state` has them; before any sample."""
        for name, space in self.state.items():
            self.learner.session.load(space, state[name])
            self.golden.load(space, state[name])

    def begin(self, start: dict[Space, Tensors]):
        """Train on from these weights, see :func:`start_of`, on all three models; before any sample."""
        self.golden.begin(start)
        self.load_state(self.golden_state())
        self.twin.begin(*({name: to_values(bits, self.cfg.format) for name, bits in start.get(space, {}).items()}
                          for space in (Space.WEIGHTS, Space.RAW)))  # fmt: skip

    def go_on(self, minibatch: int):
        """The next minibatch has this number, on all three models."""
        self.golden.minibatch = self.learner.session.minibatch = self.twin.updates = minibatch

    def compare_state(self, where: str):
        """Raise :class:`Divergence` unless all weights and momenta of the cores are golden's."""
        count, first = self.compare.state(tuple(self.state.values()))
        self._expect_none(first, where, f" in {count} weights and momenta")

    def _expect_none(self, mismatch: Mismatch | None, where: str, count: str = "", weights: bool = False):
        """Raise :class:`Divergence` for a mismatch; ``weights``: say, too, which weight is the first that differs."""
        if mismatch is None:
            return
        after = ""
        if weights:
            first = self.compare.state(tuple(self.state.values()))[1]
            after = f"; the weights after it: {first or 'equal'}"
        raise Divergence(f"RTL differs from golden{count}, first in {mismatch}; {where}{after}")
