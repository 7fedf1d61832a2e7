"""A federated worker: it trains on its own samples from weights that it is given."""

from collections.abc import Callable
from time import perf_counter
from typing import Protocol

import numpy as np

from trident.host.federated.message import Task, Update
from trident.host.federated.spec import FederatedSpec
from trident.host.federated.weights import check
from trident.host.train.scaler import LossScaler
from trident.host.train.tally import Tally
from trident.hw.errors import TridentError
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.sums import Sums
from trident.snn.data.dataset import batches
from trident.snn.data.encoding import encode
from trident.snn.network.network import Tensors

# What a worker says of itself, in this order; "training" is said before every minibatch
STAGES = ("received", "loaded", "training", "trained", "answered")


class Learner(Protocol):
    """A network that can be trained, see :class:`GoldenLearner`."""

    def load(self, weights: Tensors, minibatch: int = 0): ...

    def load_gradients(self, gradients: Tensors): ...

    def train(
        self, spikes: np.ndarray, labels: np.ndarray, constants: UpdateConstants, scale: float
    ) -> tuple[np.ndarray, bool]: ...

    def read(self) -> Tensors: ...

    def counters(self) -> dict[str, int]: ...

    def close(self): ...


class Worker:
    """Worker ``number`` of a run. Its answer depends on its task and its samples alone, not on what it did before: each
    round begins with the global weights, momenta and gradients of zero, and the loss scale that the server keeps of it.

    Epoch e of round r is epoch ``(r - 1) * local_epochs + e`` of the run: order and encoding are those that
    :class:`Trainer` has in that epoch, the encoding of the whole data set.

    learner: what trains. on_stage: called with a name of :data:`STAGES`, and how many minibatches of the round are
    done, of how many. samples: by default those that the run's split gives this worker.
    """

    def __init__(
        self, spec: FederatedSpec, number: int, learner: Learner,
        on_stage: Callable[[str, int, int], None] = lambda stage, done, of: None, samples: np.ndarray | None = None,
    ):  # fmt: skip
        spec.check_worker(number)
        self.spec, self.number, self.learner, self.on_stage = spec, number, learner, on_stage
        self.samples = spec.parts[number] if samples is None else samples

    def work(self, task: Task) -> Update:
        """Train as ``task`` says.

        Raises :class:`TridentError` for a task of another run or worker or with other weights, for a gradient that
        overflows at every loss scale, and what the learner raises.
        """
        run, settings = self.spec.run, self.spec.settings
        self._check(task)
        of = settings.local_epochs * (len(self.samples) // run.train.batch)
        self.on_stage("received", 0, of)
        began, before = perf_counter(), self.learner.counters()
        self.learner.load(task.weights, (task.round - 1) * of)
        self.on_stage("loaded", 0, of)
        scaler, tally, done = LossScaler(task.scale), Tally(), 0
        labels = run.dataset.train_labels[self.samples]
        for epoch in range((task.round - 1) * settings.local_epochs, task.round * settings.local_epochs):
            spikes = encode(run.dataset, run.network, run.train.timesteps, run.encoding, run.train.seed, epoch)[0]
            spikes = spikes[self.samples]
            rate = run.train.rate(epoch)
            for index in batches(len(spikes), run.train.batch, run.train.seed, epoch):
                self.on_stage("training", done, of)
                if settings.mu:
                    self.learner.load_gradients(self._proximal(self.learner.read(), task.weights, scaler.scale))
                constants = scaler.constants(run.train, rate, run.cfg.format)
                counts, skipped = self.learner.train(spikes[index], labels[index], constants, scaler.scale)
                scaler.after(skipped)
                tally.add(counts, labels[index], run.most_spikes, run.loss)
                done += 1
        weights, after = self.learner.read(), self.learner.counters()
        self.on_stage("trained", done, of)
        return Update(
            task.run, task.round, task.worker, scaler.scale, len(self.samples), scaler.skipped, tally.mean_loss,
            tally.accuracy, perf_counter() - began,
            {name: (value - before[name]) % 2**32 for name, value in after.items()}, weights,
        )  # fmt: skip

    def _check(self, task: Task):
        if task.run != self.spec.digest:
            raise TridentError(
                f"worker {self.number} is of another run ({self.spec.digest}) than the server ({task.run}): start both "
                f"with the same options"
            )
        if task.worker != self.number:
            raise TridentError(f"worker {self.number} has been given the task of worker {task.worker}")
        check(task.weights, self.spec.run.network, self.spec.format)

    def _proximal(self, weights: Tensors, anchor: Tensors, scale: float) -> Tensors:
        """What the gradients begin with: that of mu / 2 * |weights - anchor|^2 (Li et al. 2020), for every sample of a
        minibatch, times the loss scale; each replica begins with an equal share of it. In float64, rounded once, and
        at most the largest number that can be added to."""
        fmt, run = self.spec.format, self.spec.run
        factor = self.spec.settings.mu * scale * run.train.batch / run.plan.partition.replicas
        sums = Sums(fmt, run.cfg.fixed_of("weight_grad"))
        largest = to_values((sums.limit(1) << fmt.frac) - 1, fmt)

        def term(own: np.ndarray, start: np.ndarray) -> np.ndarray:
            value = np.clip(factor * (to_values(own, fmt) - to_values(start, fmt)), -largest, largest)
            return sums.bits(value) if run.cfg.exact else to_bits(value, fmt)

        return {name: term(own, anchor[name]) for name, own in weights.items()}
