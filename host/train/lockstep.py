"""One minibatch on the RTL and, beside it, on the golden trainer and the float32 twin: the same samples, compared."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from threadpoolctl import threadpool_limits

from trident.host.compile.chip_plan import Plan
from trident.host.driver.driver import BatchResult, Driver, Link
from trident.host.driver.session import ChipSession
from trident.hw.errors import Failure
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import decode, encode
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.twin import FastTrainer
from trident.snn.settings import NeuronSettings, TrainSettings

CHUNK = 64  # test samples per run of the core
STATE = {"weights": (Space.WEIGHTS, "weights", "biases"), "momentum": (Space.MOMENTUM, "momenta", "bias_momenta")}


class Divergence(Failure):
    """RTL and golden differ; the message says where first."""


class NumericFault(Failure):
    """An infinity or a NaN outside the gradients; the message names core, layer and engine."""


@dataclass
class Tally:
    """What one model did over some samples; ``loss`` is a sum over the samples."""

    samples: int = 0
    loss: float = 0.0
    correct: int = 0

    def add(self, counts: np.ndarray, labels: np.ndarray, steps: int):
        """Spike counts (N, classes) of samples with these labels; the lowest class wins a tie."""
        onehot = np.arange(counts.shape[1]) == labels[:, None]
        self.samples += len(labels)
        self.loss += float(np.square(counts / steps - onehot).mean(axis=1).sum())
        self.correct += int((counts.argmax(axis=1) == labels).sum())

    @property
    def mean_loss(self) -> float:
        return self.loss / max(self.samples, 1)

    @property
    def accuracy(self) -> float:
        return self.correct / max(self.samples, 1)


@dataclass(frozen=True)
class BatchStep:
    """A minibatch on all three models: spike counts of RTL (equal to golden's), what float32 returned, per layer the
    share of neurons that fired and of errors that are zero, and whether the update was skipped."""

    counts: np.ndarray
    twin: dict
    firing_rate: np.ndarray
    gradient_sparsity: np.ndarray
    skipped: bool


class Lockstep:
    """A network on the RTL of a chip behind ``link``, on the golden trainer and on the float32 twin.

    Golden and twin run in a thread of their own while the simulation runs. Every comparison is on bits.
    """

    def __init__(self, plan: Plan, neuron: NeuronSettings, settings: TrainSettings, link: Link):
        self.network, self.settings, self.cfg, self.link = plan.network, settings, plan.cfg, link
        self.plan = plan
        self.golden = GoldenTrainer(plan.network, neuron, plan.cfg, settings.seed, plan.partition)
        self.twin = FastTrainer(plan.network, neuron, settings)
        self.driver = Driver(link, plan.cfg, plan.mesh)
        self.session = ChipSession(self.driver, plan, self.golden.constants)
        self.load_state(self.golden_state())
        self._given = None
        # Threads of BLAS would only take the processor from the simulation
        self._helper = ThreadPoolExecutor(1, "golden", initializer=threadpool_limits, initargs=(1,))

    def close(self):
        """End the helper thread."""
        self._helper.shutdown()

    # Training
    def train(self, spikes: np.ndarray, labels: np.ndarray, constants: UpdateConstants, scale: float, epoch: int,
              where: str) -> BatchStep:  # fmt: skip
        """One minibatch, uint8 (N, T, y, x, c), with its update; ``where`` names it in messages.

        Raises :class:`Divergence` when counts or faults differ and :class:`NumericFault` for a fault that a smaller
        loss scale cannot mend.
        """
        table = self.golden.table(scale)
        beside = self._helper.submit(self._train_beside, spikes, labels, table, constants, epoch)
        if self._given != (constants, scale):
            self.session.set_constants(constants, table)
            self._given = constants, scale
        found = self.session.run(spikes, labels, train=True)
        counts, activity, twin = beside.result()
        self._compare_run(found, counts, where)
        skipped = bool(found.all_faults & GRADIENT_FAULTS)
        if found.all_faults & ~GRADIENT_FAULTS:
            raise NumericFault(f"an infinity or a NaN in {found.describe(self.plan)}, {where}")
        return BatchStep(found.counts, twin, *activity, skipped)

    def _train_beside(self, spikes, labels, table, constants, epoch):
        golden = self.golden
        golden.start_batch()
        counts, firing, zeros = [], 0, 0
        for n, (sample, label) in enumerate(zip(spikes, labels, strict=True)):
            trace = golden.train_sample(sample, int(label), table, n % self.plan.partition.replicas)
            counts.append(golden.counts(trace))
            firing = firing + np.array([layer.mean() for layer in trace.spikes])
            zeros = zeros + np.array([1 - np.count_nonzero(layer) / layer.size for layer in trace.errors])
        golden.update(constants)
        twin = self.twin.train_batch(spikes, labels, epoch)
        return np.stack(counts), (firing / len(labels), zeros / len(labels)), twin

    # Test
    def test(self, spikes: np.ndarray, labels: np.ndarray, where: str, stop) -> dict[str, Tally] | None:
        """Tallies by series over samples; None as soon as ``stop()`` is true."""
        tallies = {name: Tally() for name in ("RTL", "golden", "float32")}
        for start in range(0, len(labels), CHUNK):
            if stop():
                return None
            part, wanted = spikes[start : start + CHUNK], labels[start : start + CHUNK]
            beside = self._helper.submit(self._test_beside, part)
            found = self.session.run(part, wanted, train=False)
            counts, twin = beside.result()
            self._compare_run(found, counts, f"{where}, sample {start} and on")
            if found.all_faults:
                raise NumericFault(f"an infinity or a NaN in {found.describe(self.plan)}, {where}")
            for name, values in (("RTL", found.counts), ("golden", counts), ("float32", twin)):
                tallies[name].add(values, wanted, self.cfg.timesteps)
        return tallies

    def _test_beside(self, spikes):
        self.golden.start_batch()
        replicas = self.plan.partition.replicas
        counts = np.stack([
            self.golden.counts(self.golden.infer(sample, n % replicas)) for n, sample in enumerate(spikes)
        ])  # fmt: skip
        return counts, self.twin.infer(spikes)

    def _compare_run(self, found: BatchResult, counts: np.ndarray, where: str):
        cycle = f"cycle {self.link.cycles}"
        if (found.counts != counts).any():
            sample, output = map(int, np.argwhere(found.counts != counts)[0])
            raise Divergence(
                f"RTL differs from golden in the spikes of the last layer: sample {sample}, output {output}, expected "
                f"{counts[sample, output]}, found {found.counts[sample, output]}; {where}, {cycle}"
                f"{self._first_weight()}"
            )
        for core, (faults, expected) in enumerate(zip(found.faults, self.golden.faults.tolist(), strict=True)):
            if faults != expected:
                raise Divergence(
                    f"RTL differs from golden in the faults of core {self.plan.placement[core]}: expected "
                    f"{_faults(expected)}, found {_faults(faults)}; {where}, {cycle}"
                )

    def _first_weight(self) -> str:
        first = self.difference()[1]
        return f"; the weights after it: {first}" if first else "; the weights after it are equal"

    # State
    def golden_state(self) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
        """Weights and momenta of golden, per layer (taps, in, out) and (out,), as raw bits."""
        fmt = self.golden.fmt
        return {
            name: [
                (encode(getattr(layer, weights), fmt), encode(getattr(layer, biases), fmt))
                for layer in self.golden.layers
            ]
            for name, (_, weights, biases) in STATE.items()
        }

    def load_state(self, state: dict[str, list[tuple[np.ndarray, np.ndarray]]]):
        """Give cores and golden weights and momenta, as :meth:`golden_state` has them; before any sample."""
        for name, (space, weights, biases) in STATE.items():
            self.session.load_rows(space, state[name])
            for layer, pair in zip(self.golden.layers, state[name], strict=True):
                for values, bits in zip((getattr(layer, weights), getattr(layer, biases)), pair, strict=True):
                    values[:] = decode(bits, self.golden.fmt)

    def difference(self) -> tuple[int, str]:
        """How many weights and momenta of the cores differ from golden's, and the first in words."""
        count, first = 0, ""
        state = self.golden_state()
        replicas = range(self.plan.partition.replicas)
        for (name, (space, *_)), replica in product(STATE.items(), replicas):
            rows = self.session.read_rows(space, replica)
            for n, (found, expected) in enumerate(zip(rows, state[name], strict=True)):
                for part, a, b in zip(("", "bias "), found, expected, strict=True):
                    wrong = np.argwhere(a != b)
                    count += len(wrong)
                    if len(wrong) and not first:
                        index = tuple(map(int, wrong[0]))
                        first = (
                            f"layer {n + 1} ({self.network.layers[n]}), {part}{name} {index}"
                            f"{f' of replica {replica}' if len(replicas) > 1 else ''}, expected "
                            f"{int(b[index]):#06x}, found {int(a[index]):#06x}"
                        )
        return count, first

    def compare_state(self, where: str):
        """Raise :class:`Divergence` unless all weights and momenta of the cores are golden's."""
        count, first = self.difference()
        if count:
            raise Divergence(
                f"RTL differs from golden in {count} weights and momenta, first in {first}; {where}, "
                f"cycle {self.link.cycles}"
            )


def _faults(bits: int) -> str:
    return ", ".join(fault.name.lower() for fault in Fault if bits >> fault & 1) or "none"
