"""Twenty cores on a mesh: speed-up over one core, speed of the simulation, quality of partition and placement."""

from collections.abc import Iterator
from statistics import fmean
from time import perf_counter

import numpy as np

from trident.host.mapping.chip_choice import ChipChoice
from trident.host.mapping.placement import LATENCY, Placing
from trident.host.report.figure import Figure
from trident.host.train.chip_learner import ChipLearner
from trident.host.train.compare import Comparator, Divergence
from trident.host.train.spec import RunSpec
from trident.host.train.tune import WORKLOAD
from trident.hw.chip import emit_chip
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn.data.dataset import batches
from trident.snn.data.encoding import encode as encode_samples

MESH = "5x4"
SPEEDUP_BOUND, SPEED_BOUND, BALANCE_BOUND, PLACEMENT_BOUND, PREDICTION_BOUND = 14, 60_000, 1.25, 0.80, 0.15
LATENCY_BOUND = 0.05  # as a fraction of the RTL's cycles
GENERATE_BOUND = 5  # seconds for the Verilog of twenty cores
SMALL_NETWORK, SMALL_BATCH = "8x8x1-6c3s2-6c3-10c3s2-10", 320  # it fits a core of the FPGA preset


class Minibatches:
    """Minibatches of real samples on the RTL of a chip, checked against golden."""

    def __init__(self, spec: RunSpec):
        self.spec = spec
        self.chip = VerilatedChip(spec.cfg, spec.mesh, workload=WORKLOAD if spec.many else None)
        self.golden = GoldenTrainer(spec.network, spec.neuron, spec.cfg, spec.train.seed, spec.plan.partition)
        self.learner = ChipLearner(spec.plan, self.golden.constants, self.chip)
        self.learner.load(self.golden.bits(Space.WEIGHTS))
        self.compare = Comparator(self.golden, self.learner.session)
        train = spec.train
        self.spikes, _ = encode_samples(spec.dataset, spec.network, train.timesteps, spec.encoding, train.seed, 0)
        self.updates = UpdateConstants.of(train.momentum, train.step(), train.batch, spec.cfg.format)

    def run(self, part: np.ndarray | None = None) -> tuple[float, float]:
        """Cycles per sample, from the first core's start to the last core's end, and cycles simulated per second, of
        the samples ``part``, by default the first ones.

        Raises :class:`Divergence` when a spike count or a weight differs from golden's.
        """
        spec, count = self.spec, self.spec.train.batch
        part = np.arange(count) if part is None else part
        spikes, labels = self.spikes[part], spec.dataset.train_labels[part]
        places = spec.plan.placement
        before = [self.learner.driver.counters(place)["cycles"] for place in places]
        first, began = self.chip.cycles, perf_counter()
        found = self.learner.run(spikes, labels, self.updates, spec.train.loss_scale)
        speed = (self.chip.cycles - first) / (perf_counter() - began)
        after = [self.learner.driver.counters(place)["cycles"] for place in places]
        self._compare(found, self._golden(part))
        cycles = max((b - a) % 2**32 for a, b in zip(before, after, strict=True))
        return cycles / count, speed

    def epoch(self, measured: int) -> float:
        """Cycles per sample over an epoch: the mean of so many of its minibatches, evenly spread; golden trains on the
        others alone."""
        train, cycles = self.spec.train, []
        parts = list(batches(len(self.spikes), train.batch, train.seed, 0))
        chosen = {round(n) for n in np.linspace(0, len(parts) - 1, min(measured, len(parts)))}
        for number, part in enumerate(parts):
            if number in chosen:
                for space in (Space.WEIGHTS, Space.MOMENTUM):
                    self.learner.session.load(space, self.golden.bits(space))
                cycles.append(self.run(part)[0])
            else:
                self._golden(part)
        return fmean(cycles)

    def _golden(self, part: np.ndarray) -> np.ndarray:
        """Train golden on samples; their spike counts."""
        golden, labels = self.golden, self.spec.dataset.train_labels[part]
        loss = golden.loss_constants(self.spec.train.loss_scale)
        counts = golden.counts_of(golden.train(self.spikes[part], labels, loss))
        golden.update(self.updates)
        return counts

    def _compare(self, found, counts):
        golden = self.golden
        mismatch = self.compare.answers(counts, golden.faults, found)
        if mismatch := mismatch or self.compare.state((Space.MOMENTUM, Space.WEIGHTS))[1]:
            raise Divergence(f"RTL and golden differ on {self.spec.chip_text}: {mismatch}")

    def close(self):
        """End the simulation."""
        self.chip.close()


def simulate(spec: RunSpec) -> tuple[float, float]:
    """What :meth:`Minibatches.run` finds for a chip."""
    minibatches = Minibatches(spec)
    result = minibatches.run()
    minibatches.close()
    return result


def measure_speedup(only: str) -> Iterator[Figure]:
    """Cycles per sample of one core and of twenty, the same network, preset, memories and minibatch."""
    train = {"batch": SMALL_BATCH}
    many = RunSpec.make(net=SMALL_NETWORK, train=train, chip=ChipChoice(MESH))
    core = {name: getattr(many.cfg, name) for name in ("weight_rows", "spike_words", "error_words")}
    one = RunSpec.make(net=SMALL_NETWORK, preset="FPGA", train=train, core=core)
    single, _ = simulate(one)
    twenty, _ = simulate(many)
    yield Figure("chip.speedup20", "ratio", single / twenty, "higher", SPEEDUP_BOUND)
    yield Figure("chip.one_core.cycles_per_sample", "cycles", single, "lower")
    yield Figure("chip.twenty_cores.cycles_per_sample", "cycles", twenty, "lower")


def measure_deep(only: str) -> Iterator[Figure]:
    """The default network of twenty cores: its mapping, and its first minibatch."""
    if only.startswith("map.balance."):  # of other networks
        return
    spec = RunSpec.make(chip=ChipChoice(MESH))
    assert spec.forecast.one_core  # there is one that is large enough
    yield Figure("map.balance", "ratio", spec.forecast.balance, "lower", BALANCE_BOUND)
    yield Figure("map.placement_ratio", "ratio", spec.forecast.placement_ratio, "lower", PLACEMENT_BOUND)
    yield Figure("map.zigzag_ratio", "ratio", spec.forecast.zigzag_ratio, "lower", 1)
    began = perf_counter()
    emit_chip(spec.cfg, spec.mesh)
    yield Figure("chip.generate_seconds", "s", perf_counter() - began, "lower", GENERATE_BOUND)
    measured, speed = simulate(spec)
    error = abs(spec.forecast.per_sample / measured - 1)
    yield Figure("map.prediction_error", "fraction", error, "lower", PREDICTION_BOUND)
    drawn, _ = simulate(RunSpec.make(chip=ChipChoice(MESH, placing=Placing("random"))))
    yield Figure("map.random_cycles", "ratio", drawn / measured, "lower")
    timed = RunSpec.make(chip=ChipChoice(MESH, placing=Placing(objective=LATENCY)))
    error = abs(timed.forecast.per_sample / simulate(timed)[0] - 1)
    yield Figure("map.latency.deep_error", "fraction", error, "lower", LATENCY_BOUND)
    yield Figure("chip.deep.cycles_per_sample", "cycles", measured, "lower")
    yield Figure("chip.deep.speedup_over_predicted_core", "ratio", spec.forecast.one_core / measured, "higher")
    yield Figure("sim.chip20.cycles_per_second", "cycles/s", speed, "higher", SPEED_BOUND)
