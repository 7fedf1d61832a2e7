"""A training run on golden alone: the weights that the chip would have, without its simulation."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
from pydantic import Field

from trident.host.train.checkpoint import GOLDEN, Checkpoint, check_progress, check_tensors, fill, named
from trident.host.train.chip_learner import NumericFault
from trident.host.train.findings import findings, new_findings
from trident.host.train.lockstep import state_spaces
from trident.host.train.rates import Rates
from trident.host.train.scaler import LossScaler
from trident.host.train.spec import RunSpec
from trident.host.train.tally import Tally
from trident.hw.errors import Interrupted
from trident.hw.isa.faults import GRADIENT_FAULTS, Fault
from trident.sim.golden.trainer import GoldenTrainer
from trident.snn.data.dataset import batches
from trident.snn.data.encoding import encode
from trident.snn.losses import marked

HISTORY = ("loss", "train_accuracy", "test_accuracy", "samples_per_second")  # of an epoch
CHUNK = 256  # samples of a test at a time
Count = Annotated[int, Field(ge=0)]


@dataclass
class GoldenProgress:
    """Where a run is; plain values, so that a checkpoint holds it.

    epoch, minibatch: how many are done, of the run and of the epoch under way; tally, rates, skipped: of the epoch
    under way; history: :data:`HISTORY` of every epoch; findings: what a user should know, each once.
    """

    epoch: Count = 0
    minibatch: Count = 0
    scaler: dict = field(default_factory=dict)
    tally: dict = field(default_factory=dict)
    rates: dict = field(default_factory=dict)
    skipped: Count = 0
    history: list[dict[str, float]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


class GoldenRun:
    """Epochs of minibatches of ``spec`` on the golden trainer, with a checkpoint at ``path`` after every epoch.

    ``engines``: numpy or torch. With ``resume`` it goes on from that checkpoint.
    Raises :class:`TridentError` for a checkpoint of another run and for engines that cannot be had.
    """

    def __init__(self, spec: RunSpec, path: Path, resume: bool = False, engines: str = "numpy"):
        self.spec, self.path = spec, path
        # Exact sums do not depend on it
        partition = None if spec.cfg.exact or spec.plan is None else spec.plan.partition
        self.golden = GoldenTrainer(
            spec.network, spec.neuron, spec.cfg, spec.train.seed, partition, engines, spec.loss
        )
        self.progress, self.tally, self.rates = GoldenProgress(), Tally(), Rates()
        self.scaler = LossScaler.of(spec.train)
        if resume:
            self._restore()
        elif spec.start:
            self.golden.begin(spec.start)

    def run(self, tell: Callable[[dict, list[str]], None], stop: Callable[[], bool] = lambda: False):
        """Train up to the last epoch; ``tell`` gets the figures of each and what has been found that was not known yet,
        ``stop`` is asked before every minibatch.

        Raises :class:`Interrupted` after a stop, and :class:`NumericFault` for a fault that a smaller loss scale cannot
        mend.
        """
        spec, now = self.spec, self.progress
        while now.epoch < spec.train.epochs:
            train, test = encode(
                spec.dataset, spec.network, spec.train.timesteps, spec.encoding, spec.train.seed, now.epoch
            )
            began, done = perf_counter(), 0
            for index in list(batches(len(train), spec.train.batch, spec.train.seed, now.epoch))[now.minibatch :]:
                if stop():
                    self._save()
                    raise Interrupted(
                        f"stopped in epoch {now.epoch + 1} after minibatch {now.minibatch}; "
                        "--resume (make train RESUME=1) goes on from there"
                    )
                self._minibatch(train[index], index)
                done += len(index)
            rate = done / (perf_counter() - began)
            tested = self._test(test)
            figures = self.tally.mean_loss, self.tally.accuracy, tested.accuracy, rate
            now.history.append(dict(zip(HISTORY, figures, strict=True)))
            found = findings(
                spec.network, spec.neuron, spec.train, *(list(share) for share in self.rates.means),
                [epoch["loss"] for epoch in now.history], tested, now.skipped / spec.minibatches,
                self.golden.zero_weights,
            )  # fmt: skip
            new = new_findings(found, now.findings)
            now.findings += new
            now.epoch, now.minibatch, now.skipped, self.tally, self.rates = now.epoch + 1, 0, 0, Tally(), Rates()
            self._save()
            tell(now.history[-1], new)

    def _minibatch(self, spikes: np.ndarray, index: np.ndarray):
        """``index``: of the samples, among those of training."""
        spec, golden, now = self.spec, self.golden, self.progress
        labels, wanted = spec.dataset.train_labels[index], spec.wanted(index)
        train = spec.train
        rate = train.rate(now.epoch + now.minibatch / spec.minibatches)
        constants = self.scaler.constants(train, rate, spec.cfg.format)
        parts = []
        for trace in golden.train(spikes, marked(labels, wanted), golden.loss_constants(self.scaler.scale, wanted)):
            parts.append(golden.counts(trace))
            self.rates.add(trace)
        counts = np.concatenate(parts)
        tensors = (golden.weights, golden.raw, *golden.kept.values())
        kept = [(values, values.copy()) for own in tensors for values in own.values()]
        golden.update(constants)
        faults = int(np.bitwise_or.reduce(golden.faults))
        undone = faults == 1 << Fault.UPDATE  # as of the chip: a smaller scale may mend it
        moments = undone and golden.moments_overflowed
        if undone:
            for values, before in kept:
                values[:] = before
        elif faults & ~GRADIENT_FAULTS:
            raise NumericFault.of(f"epoch {now.epoch + 1}, minibatch {now.minibatch + 1}")
        self.scaler.after(golden.overflowed or undone, moments)
        now.skipped += golden.overflowed or undone
        self.tally.add(counts, labels, spec.most_spikes, spec.loss, wanted)
        now.minibatch += 1

    def _test(self, spikes: np.ndarray) -> Tally:
        tally, labels = Tally(), self.spec.dataset.test_labels
        for first in range(0, len(labels), CHUNK):
            part = slice(first, first + CHUNK)
            counts = self.golden.counts_of(self.golden.infer(spikes[part]))
            tally.add(counts, labels[part], self.spec.most_spikes, self.spec.loss)
        return tally

    # Checkpoint
    def _save(self):
        self.progress.scaler, self.progress.tally = asdict(self.scaler), asdict(self.tally)
        self.progress.rates = asdict(self.rates)
        arrays: dict[str, np.ndarray] = {}
        for name, space in state_spaces(self.spec.cfg).items():
            arrays |= named(name, self.golden.bits(space))
        Checkpoint(self.spec.settings(), asdict(self.progress), arrays, GOLDEN).save(self.path)

    def _restore(self):
        state, where = Checkpoint.load(self.path, GOLDEN), str(self.path)
        state.check(self.spec.settings(), self.path)
        self.progress = progress = fill(GoldenProgress, state.progress, where)
        self.scaler, self.tally = fill(LossScaler, progress.scaler, where), fill(Tally, progress.tally, where)
        self.rates = fill(Rates, progress.rates, where)
        layers = len(self.spec.network.layers)
        good = {
            "minibatch": progress.minibatch <= self.spec.minibatches,
            "rates": len(self.rates.firing) == len(self.rates.zeros) == layers * (self.rates.samples > 0),
            "scaler": self.scaler.possible(self.spec.train),
            "history": [set(epoch) for epoch in progress.history] == [set(HISTORY)] * progress.epoch,
        }
        check_progress(good, progress.epoch, self.spec.train.epochs, where)
        for name, space in state_spaces(self.spec.cfg).items():
            check_tensors(state.tensors(name), self.golden.bits(space), where)
            self.golden.load(space, state.tensors(name))
        self.golden.minibatch = self.scaler.updates + self.scaler.skipped
