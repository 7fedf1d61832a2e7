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

from trident.host.driver.driver import FlitPort
from trident.host.driver.target import Target
from trident.host.report.progress import Live, Plain, count, counter_table, percent, speed
from trident.host.report.report import RunRecord, write_report
from trident.host.report.summary import record
from trident.host.train.checkpoint import Checkpoint
from trident.host.train.spec import RunSpec
from trident.host.train.trainer import Trainer
from trident.host.train.tune import WORKLOAD
from trident.hw.errors import TridentError
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.trainer import GoldenTrainer
from trident.sim.rtl.waves import convert


def train(
    spec: RunSpec, folder: Path, console: Console, resume: bool = False, waves: int = 0, target: Target | None = None
) -> RunRecord | None:
    """Train ``spec`` on the RTL, or on what ``target`` says; checkpoint, record (JSON) and report go to ``folder``.

    ``waves`` records so many minibatches as an FST and stops there. Returns the record, or None after waves. Raises
    :class:`TridentError` for what the user can put right, :class:`Interrupted` after Ctrl-C, :class:`Divergence` when
    RTL and golden differ.
    """
    began = perf_counter()
    checkpoint = folder / "checkpoint.npz"
    state = _resumed(spec, checkpoint) if resume else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise TridentError(f"the folder {folder} cannot be made: {fault.strerror}") from None
    _say(
        console,
        f"Network {spec.network_text}: {count(spec.network.weights)} weights. Data {spec.dataset.name}: "
        f"{count(len(spec.dataset.train))} samples to train, {count(len(spec.dataset.test))} to test. "
        f"{spec.chip_text}.",
    )
    with TemporaryDirectory() as scratch:
        vcd = Path(scratch) / "waves.vcd" if waves else None
        target = target or Target()
        minutes = "two minutes" if spec.many else "a minute"
        if target.kind == "serial":
            _say(console, f"Connecting to the chip at {target.port} ...")
        else:
            _say(console, f"Building the simulation: about {minutes}, the first time ...")
        with closing(_build(spec, vcd, target)) as link, closing(Trainer(spec, link, checkpoint, state)) as trainer:
            ready = "Chip" if target.kind == "serial" else "Simulation"
            _say(console, f"{ready} ready after {perf_counter() - began:.0f} s.")
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
    return _conclude(spec, trainer, folder, console, perf_counter() - began)


def _say(console: Console, text: str):
    console.print(text, highlight=False, soft_wrap=True)


def _resumed(spec: RunSpec, path: Path) -> Checkpoint:
    state = Checkpoint.load(path)
    state.check(spec.settings(), path)
    if state.progress["epoch"] > spec.train.epochs:
        raise TridentError(
            f"the run in {path} has done {state.progress['epoch']} epochs already: ask for at least as many, not "
            f"{spec.train.epochs}"
        )
    return state


def _build(spec: RunSpec, vcd: Path | None, target: Target) -> FlitPort:
    """The chip; the golden model's kernels are compiled at the same time."""
    with ThreadPoolExecutor(1) as pool:
        warm = pool.submit(_warm, spec)
        link = target.connect(spec.cfg, spec.mesh, vcd, workload=WORKLOAD if spec.many else None)
        warm.result()
    return link


def _warm(spec: RunSpec):
    golden = GoldenTrainer(spec.network, spec.neuron, spec.cfg, partition=spec.plan.partition)
    silence = np.zeros((spec.cfg.timesteps, *spec.network.in_shape), np.uint8)
    golden.train_sample(silence, 0, golden.table(1.0))
    golden.update(UpdateConstants(0, 0, 0))


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


def _conclude(spec: RunSpec, trainer: Trainer, folder: Path, console: Console, wall_seconds: float) -> RunRecord:
    run = record(spec, trainer, wall_seconds)
    last, verdict = trainer.progress.history["RTL"][-1], run.verdict
    report = folder / "report.html"
    (folder / "run.json").write_text(run.to_json())
    write_report(report, run)
    console.print(counter_table(trainer.progress.counters))
    _say(
        console,
        f"\nAccuracy: train {percent(last['train_accuracy'])}, test {percent(last['test_accuracy'])}.\n"
        f"All {count(verdict.weights_compared)} weights equal the golden trainer's, bit for bit.\n"
        f"{count(verdict.cycles)} cycles simulated, {count(speed(trainer.progress))} cycles per second, "
        f"{verdict.wall_seconds:.0f} s in all.\nReport: {report}",
    )
    return run
