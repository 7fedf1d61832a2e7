"""Whole training runs on the RTL: accuracy, agreement with golden, overlap of the engines, speed of the simulation."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from trident.host.report.figure import Figure
from trident.host.report.progress import Plain
from trident.host.train.golden_run import GoldenRun
from trident.host.train.spec import RunSpec
from trident.host.train.trainer import Trainer
from trident.sim.rtl.verilated import VerilatedChip

ENGINES = ("forward", "backward", "weight_grad")
POOLS = {
    "none": "8x8x1-16c3-16c3s2-10",
    "mp2": "8x8x1-16c3-mp2-16c3-10",
    "ap2": "8x8x1-16c3-ap2-16c3-10",
    "mp3s2p1": "8x8x1-16c3-mp3s2p1-16c3-10",
    "m2": "8x8x1-16c3m2-16c3-10",
}  # fmt: skip
ACCURACY_BOUND, OVERLAP_BOUND, SPEED_BOUND = 0.97, 1.15, 400_000
ADAM = {"optimizer": "adam", "loss": "cross-entropy", "schedule": "cosine", "epochs": 10}
ADAM_BOUND = 0.975
LONG = {
    "net": "64-128-10r", "encoding": "bernoulli", "neuron": {"neuron": "synaptic"},
    "train": {"timesteps": 100, "optimizer": "adam", "epochs": 1},
}  # fmt: skip


@contextmanager
def _run(spec: RunSpec, limit: int | None = None) -> Iterator[Trainer]:
    """A training run without a display, ended after ``limit`` minibatches; the chip is there until the context ends."""
    link = VerilatedChip(spec.cfg, spec.mesh)
    with TemporaryDirectory() as folder:
        trainer = Trainer(spec, link, Path(folder) / "checkpoint.npz")
        trainer.run(Plain(Console(quiet=True)), limit=limit)
        yield trainer
    trainer.lockstep.close()
    link.close()


def measure_overlap(only: str) -> Iterator[Figure]:
    """Cycles of a training step of 16 samples over the cycles that its busiest engine ran, update included."""
    minibatches = 8
    with _run(RunSpec.make(), limit=minibatches) as trainer:
        (counters,) = trainer.progress.counters
    longest = max(counters[f"{engine}.running"] for engine in ENGINES)
    yield Figure("core.step.overlap_ratio", "ratio", counters["cycles"] / longest, "lower", OVERLAP_BOUND)
    samples = minibatches * trainer.spec.train.batch
    yield Figure("core.step.cycles_per_sample", "cycles", counters["cycles"] / samples, "lower")


def measure_norms(only: str) -> Iterator[Figure]:
    """Cycles of training steps of the residual network with batch norm over those with standardised weights, update
    included, on cores with what each needs."""
    cycles = {}
    for norm in ("ws", "bn"):
        with _run(RunSpec.make(net="resnet", norm=norm), limit=2) as trainer:
            cycles[norm] = trainer.progress.counters[0]["cycles"]
    yield Figure("core.bn.cycles_ratio", "ratio", cycles["bn"] / cycles["ws"], "lower")


def measure_pools(only: str) -> Iterator[Figure]:
    """Cycles of training steps of a network with a pool between two convolutions over those that its busiest engine
    ran, by the pool: largest spikes, means, windows that overlap, and largest sums before the neurons."""
    for pool, net in POOLS.items():
        with _run(RunSpec.make(net=net), limit=2) as trainer:
            (counters,) = trainer.progress.counters
        longest = max(counters[f"{engine}.running"] for engine in ENGINES)
        yield Figure(f"core.pool.{pool}.overlap_ratio", "ratio", counters["cycles"] / longest, "lower")


def measure_digits(only: str) -> Iterator[Figure]:
    """The default training run: digits, 64-128-10, every weight compared with golden after every epoch."""
    with _run(RunSpec.make()) as trainer:
        differing, _ = trainer.lockstep.compare.state(tuple(trainer.lockstep.state.values()))
    progress = trainer.progress
    accuracy = progress.history["RTL"][-1]["test_accuracy"]
    yield Figure("train.digits.test_accuracy", "fraction", accuracy, "higher", ACCURACY_BOUND)
    yield Figure("train.digits.weights_differing", "weights", differing, "lower", 0)
    yield Figure("train.digits.epochs", "epochs", len(progress.history["RTL"]), "lower", 15)
    speed = progress.cycles / progress.seconds
    yield Figure("sim.core8.cycles_per_second", "cycles/s", speed, "higher", SPEED_BOUND)


def measure_adam(only: str) -> Iterator[Figure]:
    """The same network with Adam and cross-entropy."""
    accuracy, differing = trained(RunSpec.make(train=dict(ADAM)))
    yield Figure("train.digits.adam.test_accuracy", "fraction", accuracy, "higher", ADAM_BOUND)
    yield Figure("train.digits.adam.bits_differing", "values", differing, "lower", 0)


def measure_long(only: str) -> Iterator[Figure]:
    """An epoch of 100 timesteps of Poisson spikes, with synaptic neurons and a readout of potentials."""
    accuracy, differing = trained(RunSpec.make(**LONG))
    yield Figure("train.digits.t100.test_accuracy", "fraction", accuracy, "higher")
    yield Figure("train.digits.t100.bits_differing", "values", differing, "lower", 0)


def trained_step(spec: RunSpec) -> tuple[dict[str, int], int]:
    """Train on golden, then a minibatch with the weights that came of it on the RTL: what all counters of the core
    grew by, and the samples of a minibatch."""
    with TemporaryDirectory() as folder:
        golden = GoldenRun(spec, Path(folder) / "golden.npz")
        golden.run(lambda *_: None)
        link = VerilatedChip(spec.cfg, spec.mesh)
        trainer = Trainer(spec, link, Path(folder) / "checkpoint.npz")
        trainer.lockstep.load_state({
            name: golden.golden.bits(space) for name, space in trainer.lockstep.state.items()
        })  # fmt: skip
        trainer.run(Plain(Console(quiet=True)), limit=1)
        trainer.close()
        link.close()
    return trainer.progress.trained, trainer.progress.trained_samples


def trained(spec: RunSpec) -> tuple[float, int]:
    """The accuracy of the test after a whole run, and how many values differ from golden."""
    with _run(spec) as trainer:
        differing, _ = trainer.lockstep.compare.state(tuple(trainer.lockstep.state.values()))
    return trainer.progress.history["RTL"][-1]["test_accuracy"], differing
