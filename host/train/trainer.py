"""A training run: epochs of minibatches in lockstep with golden, tested, kept in a checkpoint, told to a display."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field

from trident.host.driver.driver import FlitPort
from trident.host.train.checkpoint import Checkpoint, named
from trident.host.train.findings import findings, new_findings
from trident.host.train.lockstep import BatchStep, Lockstep
from trident.host.train.scaler import LossScaler
from trident.host.train.spec import RunSpec
from trident.host.train.tally import Tally
from trident.hw.errors import Interrupted
from trident.snn.data.dataset import batches
from trident.snn.data.encoding import encode

SERIES = ("RTL", "golden", "float32")
HISTORY = ("loss", "train_accuracy", "test_accuracy", "undecided")  # of an epoch
Count = Annotated[int, Field(ge=0)]


@dataclass
class Progress:
    """Where a run is, and everything that it counts; plain values, so that a checkpoint holds it as JSON.

    epoch, minibatch: how many are done, of the run and of the epoch under way; tallies: of the epoch under way, by
    series; history: loss, train_accuracy, test_accuracy and undecided (share of the test samples without a prediction)
    of every epoch, by series; tested: the tally of the RTL's last test; findings: what a user should know, each once;
    firing_rate, gradient_sparsity: sums per layer over the minibatches of the last epoch; skipped: minibatches of the
    last epoch that overflowed; counters: of every logical core, beyond their 32 bits; cycles: of all
    minibatches and tests, without what the host does between them; seconds: that training and testing took; trained:
    counters of all cores together, without tests, of the ``trained_samples`` samples that were trained.
    """

    epoch: Count = 0
    minibatch: Count = 0
    scaler: dict = field(default_factory=dict)
    tallies: dict[str, dict] = field(default_factory=dict)
    history: dict[str, list[dict[str, float]]] = field(default_factory=lambda: {name: [] for name in SERIES})
    tested: dict = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    firing_rate: list[float] = field(default_factory=list)
    gradient_sparsity: list[float] = field(default_factory=list)
    activity_batches: Count = 0
    skipped: Count = 0
    counters: list[dict[str, Count]] = field(default_factory=list)
    cycles: Count = 0
    seconds: float = 0.0
    trained: dict[str, Count] = field(default_factory=dict)
    trained_samples: Count = 0


class Display(Protocol):
    """What is told how a run goes."""

    def start(self, epochs: int, minibatches: int, progress: Progress): ...

    def step(self, progress: Progress, tally: Tally): ...

    def epoch(self, progress: Progress): ...

    def warn(self, finding: str): ...


class Trainer:
    """One run of ``spec`` on a chip, with a checkpoint at ``path`` after every epoch.

    With ``resume`` it goes on from that checkpoint and ends with the weights that an unbroken run has.
    ``engines``: numpy or torch, what golden computes with. Raises :class:`TridentError` when the checkpoint is of
    another run.
    """

    def __init__(
        self, spec: RunSpec, chip: FlitPort, path: Path, resume: Checkpoint | None = None, engines: str = "numpy"
    ):
        self.spec, self.chip, self.path = spec, chip, path
        self.progress = Progress(**resume.progress) if resume else Progress()
        self.scaler = LossScaler(**self.progress.scaler) if resume else LossScaler.of(spec.train)
        self.lockstep = Lockstep(spec.plan, spec.neuron, spec.train, chip, engines)
        if resume:
            self._restore(resume)
        elif spec.start:
            self.lockstep.begin(spec.start)
        # Of the first minibatch: when the cores' queues ran, and the counters
        self.intervals: list[tuple[int, str, int, int]] = []
        self.first_counters: list[dict[str, int]] = []
        self.tallies = {name: Tally(**self.progress.tallies.get(name, {})) for name in SERIES}
        self._counted = self._read_counters()

    def run(self, display: Display, stop: Callable[[], bool] = lambda: False, limit: int | None = None):
        """Train up to the last epoch; ``stop`` is asked before every minibatch, ``limit`` ends the run after so many.

        Raises :class:`Interrupted` after a stop, and what :class:`Lockstep` raises.
        """
        spec, now = self.spec, self.progress
        display.start(spec.train.epochs, self.spec.minibatches, now)
        done = 0
        self._clock = perf_counter()
        while now.epoch < spec.train.epochs:
            train, test = encode(
                spec.dataset, spec.network, spec.train.timesteps, spec.encoding, spec.train.seed, now.epoch
            )
            order = batches(len(train), spec.train.batch, spec.train.seed, now.epoch)
            for number, index in enumerate(order):
                if number < now.minibatch:
                    continue
                if stop():
                    self._interrupt()
                if first := not done:
                    self.chip.record()
                self._minibatch(train[index], index)
                if first:
                    self.intervals = self.chip.intervals()
                    self.first_counters = [dict(core) for core in self.progress.counters]
                    self.chip.record(0)
                display.step(now, self.tallies["RTL"])
                done += 1
                if done == limit:
                    self.lockstep.compare_state(self.where)
                    return
            self.lockstep.compare_state(self.where)
            tested = self.lockstep.test(test, spec.dataset.test_labels, f"test after epoch {now.epoch + 1}", stop)
            if tested is None:
                self._interrupt()
            new = self._end_epoch(tested)
            display.epoch(now)
            for finding in new:
                display.warn(finding)
            self._save()

    def close(self):
        """End the helper thread; the chip stays open."""
        self.lockstep.close()

    @property
    def where(self) -> str:
        """The last minibatch, for messages."""
        return f"epoch {self.progress.epoch + 1}, minibatch {self.progress.minibatch}"

    def _minibatch(self, spikes: np.ndarray, index: np.ndarray):
        """``index``: of the samples, among those of training."""
        train, now, labels = self.spec.train, self.progress, self.spec.dataset.train_labels[index]
        wanted = self.spec.wanted(index)
        moment = now.epoch + now.minibatch / self.spec.minibatches
        now.minibatch += 1
        constants = self.scaler.constants(train, train.rate(moment), self.spec.cfg.format)
        step = self.lockstep.train(spikes, labels, constants, self.scaler.scale, moment, self.where, wanted)
        self.scaler.after(step.skipped, step.moments)
        self._count(step, labels, wanted)

    def _count(self, step: BatchStep, labels: np.ndarray, wanted: np.ndarray | None):
        now, most = self.progress, self.spec.most_spikes
        for name in ("RTL", "golden"):  # their counts have been compared
            self.tallies[name].add(step.counts, labels, most, self.spec.loss, wanted)
        twin = self.tallies["float32"]
        twin.samples += len(labels)
        twin.loss += step.twin["loss"] * len(labels)
        twin.correct += step.twin["correct"]
        if now.minibatch == 1:
            now.firing_rate = now.gradient_sparsity = [0.0] * len(self.spec.network.layers)
            now.activity_batches = now.skipped = 0
        now.firing_rate = [a + float(b) for a, b in zip(now.firing_rate, step.firing_rate, strict=True)]
        now.gradient_sparsity = [
            a + float(b) for a, b in zip(now.gradient_sparsity, step.gradient_sparsity, strict=True)
        ]
        now.activity_batches += 1
        now.skipped += step.skipped
        self._tick(len(labels))

    def _tick(self, trained: int = 0):
        """Bring counters, cycles and seconds up to date, of so many samples that were ``trained`` since, or of a test;
        a core's counters wrap around at 32 bits."""
        now, counted = self.progress, self._read_counters()
        if not now.counters:
            now.counters = [{} for _ in counted]
        pairs = zip(counted, self._counted, strict=True)
        now.cycles += max((new["cycles"] - old["cycles"]) % 2**32 for new, old in pairs)
        for total, new, old in zip(now.counters, counted, self._counted, strict=True):
            for name, value in new.items():
                grown = (value - old[name]) % 2**32
                total[name] = total.get(name, 0) + grown
                if trained:
                    now.trained[name] = now.trained.get(name, 0) + grown
        now.trained_samples += trained
        self._counted = counted
        seconds = perf_counter()
        now.seconds += seconds - self._clock
        self._clock = seconds

    def _read_counters(self) -> list[dict[str, int]]:
        """Of every logical core."""
        return [self.lockstep.learner.driver.counters(place) for place in self.spec.plan.placement]

    def _end_epoch(self, tested: dict[str, Tally]) -> list[str]:
        """Close the books of an epoch; returns what has been found that was not known yet."""
        self._tick()
        now, spec = self.progress, self.spec
        for name, tally in self.tallies.items():
            test = tested[name]
            values = tally.mean_loss, tally.accuracy, test.accuracy, test.share(test.undecided)
            now.history[name].append(dict(zip(HISTORY, values, strict=True)))
        now.tested = asdict(tested["RTL"])
        self.tallies = {name: Tally() for name in SERIES}
        now.epoch += 1
        now.minibatch = 0
        done = now.activity_batches
        found = findings(
            spec.network, spec.neuron, spec.train, [rate / done for rate in now.firing_rate],
            [zero / done for zero in now.gradient_sparsity], [epoch["loss"] for epoch in now.history["RTL"]],
            tested["RTL"], now.skipped / done, self.lockstep.golden.zero_weights,
        )  # fmt: skip
        new = new_findings(found, now.findings)
        now.findings += new
        return new

    def _interrupt(self):
        self.lockstep.compare_state(self.where)
        self._save()
        now = self.progress
        raise Interrupted(
            f"stopped in epoch {now.epoch + 1} after minibatch {now.minibatch} of {self.spec.minibatches}; "
            "--resume (make train RESUME=1) goes on from there"
        )

    # Checkpoint
    def _save(self):
        self._tick()
        self.progress.scaler = asdict(self.scaler)
        self.progress.tallies = {name: asdict(tally) for name, tally in self.tallies.items()}
        arrays = {}
        for name, tensors in self.lockstep.golden_state().items():
            arrays |= named(name, tensors) | named(f"float32/{name}", self.lockstep.twin.state[name])
        Checkpoint(self.spec.settings(), asdict(self.progress), arrays).save(self.path)

    def _restore(self, checkpoint: Checkpoint):
        names, twin = self.lockstep.state, self.lockstep.twin
        self.lockstep.load_state({name: checkpoint.tensors(name) for name in names})
        twin.state = {name: checkpoint.tensors(f"float32/{name}") for name in names}
        self.lockstep.go_on(self.scaler.updates + self.scaler.skipped)
