"""One training run from start to end: build the simulation, train, compare, report."""

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import current_thread, main_thread
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.text import Text

from trident.host.driver.driver import FlitPort
from trident.host.driver.target import Target
from trident.host.report.building import building
from trident.host.report.progress import Live, Plain, count, counter_table, percent, speed, warn
from trident.host.report.report import RunRecord, write_report
from trident.host.report.summary import record
from trident.host.train.checkpoint import Checkpoint
from trident.host.train.golden_run import GoldenRun
from trident.host.train.resume import resumed
from trident.host.train.spec import RunSpec
from trident.host.train.trainer import Trainer
from trident.host.train.tune import WORKLOAD
from trident.hw.files import only_one, write_whole
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.engines import golden_engines
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.rtl.waves import convert


def train(
    spec: RunSpec, folder: Path, console: Console, resume: bool = False, waves: int = 0, target: Target | None = None,
    verbose: bool = False, engines: str = "numpy",
) -> RunRecord | None:
    """Train ``spec`` on the RTL, or on what ``target`` says; checkpoint, record (JSON) and report go to ``folder``.

    ``waves`` records so many minibatches as an FST and stops there. ``verbose``: print all counters. ``engines``: numpy
    or torch, what golden computes with. Returns the record, or None after waves and for the target golden. Raises
    :class:`TridentError` for what the user can put right, :class:`Interrupted` after Ctrl-C, :class:`Divergence` when
    RTL and golden differ.
    """
    began, target = perf_counter(), target or Target()
    golden_engines(spec.cfg, engines)  # refuses, before anything is built, what cannot be had
    if target.kind == "golden":
        with only_one(folder):
            return _train_golden(spec, folder / "golden.npz", console, resume, engines)
    checkpoint = folder / "checkpoint.npz"
    state = resumed(spec, checkpoint) if resume else None
    with only_one(folder):
        return _train(spec, folder, console, state, waves, target, verbose, began, engines)


def _train(
    spec: RunSpec, folder: Path, console: Console, state: Checkpoint | None, waves: int, target: Target, verbose: bool,
    began: float, engines: str,
) -> RunRecord | None:
    checkpoint = folder / "checkpoint.npz"
    _introduce(spec, console)
    with TemporaryDirectory() as scratch:
        vcd = Path(scratch) / "waves.vcd" if waves else None
        if target.kind == "serial":
            _say(console, f"Connecting to the chip at {target.port} ...")
            link = _build(spec, vcd, target)
        else:
            with building(console):
                link = _build(spec, vcd, target)
        ready = perf_counter() - began
        with closing(link), closing(Trainer(spec, link, checkpoint, state, engines)) as trainer:
            if state:
                _say(console, f"Going on from {checkpoint}, after {trainer.where}.")
            with _stop_on_interrupt(console) as stop, (Live if console.is_terminal else Plain)(console) as display:
                trainer.run(display, stop, waves or None)
        if vcd:
            with console.status("Writing the waves ..."):
                convert(vcd, folder / "waves.fst")
    if waves:
        _say(
            console,
            f"Recorded up to {trainer.where}, which ends the run; all {count(spec.network.weights)} weights equal the "
            f"golden trainer's.\nWaves: {folder / 'waves.fst'}",
        )
        return None
    return _conclude(trainer, folder, console, (perf_counter() - began, ready), verbose)


def _introduce(spec: RunSpec, console: Console):
    """Say what is trained on what, and what a user should know of the data."""
    bin_us = spec.dataset.bin_us
    bins = f", {count(bin_us)} µs a timestep" if bin_us else ""
    _say(
        console,
        f"Network {spec.network_text}: {count(spec.network.weights)} weights. Data {spec.dataset.name}: "
        f"{count(len(spec.dataset.train))} samples to train, {count(len(spec.dataset.test))} to test{bins}. "
        f"{spec.chip_text}.",
    )
    for note in spec.notes:
        warn(console, note)


def _train_golden(spec: RunSpec, checkpoint: Path, console: Console, resume: bool, engines: str):
    """Train on golden alone, and say how each epoch went."""
    run = GoldenRun(spec, checkpoint, resume, engines)
    _introduce(spec, console)

    def tell(epoch: dict, found: list[str]):
        _say(
            console,
            f"epoch {run.progress.epoch:>2}  loss {epoch['loss']:.4f}  train {percent(epoch['train_accuracy'])}  "
            f"test {percent(epoch['test_accuracy'])}  {count(epoch['samples_per_second'])} samples/s",
        )
        for finding in found:
            warn(console, finding)

    with _stop_on_interrupt(console) as stop:
        run.run(tell, stop)
    _say(
        console,
        f"Weights and momenta, the bits that the chip has: {checkpoint}\n"
        f"Accuracy: train {percent(run.progress.history[-1]['train_accuracy'])}, "
        f"test {percent(run.progress.history[-1]['test_accuracy'])}.{_zeros(run.golden.zero_share, spec)}",
    )


def _zeros(share: float | None, spec: RunSpec) -> str:
    """What a run that prunes says of its weights."""
    return f" Weights that are 0: {percent(share)}." if spec.train.prune else ""


def _say(console: Console, text: str):
    console.print(Text(text), soft_wrap=not console.is_terminal)


def _build(spec: RunSpec, vcd: Path | None, target: Target) -> FlitPort:
    """The chip; the golden model's kernels are compiled at the same time."""
    with ThreadPoolExecutor(1) as pool:
        warm = pool.submit(_warm, spec)
        link = target.connect(spec.cfg, spec.mesh, vcd, workload=WORKLOAD if spec.many else None)
        warm.result()
    return link


def _warm(spec: RunSpec):
    golden = GoldenTrainer(spec.network, spec.neuron, spec.cfg, partition=spec.plan.partition)
    silence = np.zeros((1, spec.cfg.steps, *spec.network.sample_shape), np.uint8)
    list(golden.train(silence, np.zeros(1, np.int64), golden.loss_constants(1.0)))
    golden.update(UpdateConstants())


@contextmanager
def _stop_on_interrupt(console: Console):
    """Give a function that says whether Ctrl-C was pressed; pressed twice it ends the program at once. Only the main
    thread hears of it."""
    if current_thread() is not main_thread():
        yield lambda: False
        return
    pressed = False

    def handler(*_):
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        console.print("Stopping after this minibatch ...")

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: pressed
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _conclude(
    trainer: Trainer, folder: Path, console: Console, seconds: tuple[float, float], verbose: bool
) -> RunRecord:
    """Write record and report of a run that has ended, and say how it went; ``seconds``: in all, and until it began."""
    run = record(trainer.spec, trainer, *seconds)
    last, verdict = trainer.progress.history["RTL"][-1], run.verdict
    report = folder / "report.html"
    write_whole(folder / "run.json", run.to_json())
    write_report(report, run)
    if verbose:
        console.print(counter_table(trainer.progress.counters))
    undecided = f", undecided {percent(last['undecided'])}" if last["undecided"] else ""
    _say(
        console,
        f"Report: {report}\n"
        f"{count(verdict.cycles)} cycles simulated, {count(speed(trainer.progress))} cycles per second, "
        f"{verdict.wall_seconds:.0f} s in all.\n"
        f"All {count(verdict.weights_compared)} weights equal the golden trainer's, bit for bit.\n"
        f"Accuracy: train {percent(last['train_accuracy'])}, test {percent(last['test_accuracy'])}{undecided}."
        f"{_zeros(verdict.zero_weights, trainer.spec)}",
    )
    return run
