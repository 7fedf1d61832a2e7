"""One federated run from start to end: build the chips, train, compare, report."""

import signal
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.text import Text

from trident.host.federated.processes import Processes
from trident.host.federated.progress import Live, Plain
from trident.host.federated.references import alone, central
from trident.host.federated.report import FederatedRecord, write_report
from trident.host.federated.serve import end_with_parent
from trident.host.federated.server import Progress, Server, resumed
from trident.host.federated.spec import FederatedSpec
from trident.host.report.progress import count, percent, warn
from trident.host.train.checkpoint import Checkpoint
from trident.hw.files import only_one, write_whole

Curves = tuple[list[list[float]], list[float]]  # of each worker alone, and central


def federate(spec: FederatedSpec, folder: Path, console: Console, resume: bool = False):
    """Train with workers in processes of their own; checkpoint, record (JSON) and report go to ``folder``.

    Raises :class:`TridentError` for what the user can put right,
    :class:`TooFewWorkers`, and :class:`Divergence` when RTL and golden differ.
    """
    state = resumed(spec, folder / "checkpoint.npz") if resume else None
    with only_one(folder):
        _federate(spec, folder, console, state)


def _federate(spec: FederatedSpec, folder: Path, console: Console, state: Checkpoint | None):
    began, path = perf_counter(), folder / "checkpoint.npz"
    for note in spec.run.notes:
        warn(console, note)
    say(console, introduce(spec))
    say(console, "Building the simulation, unless it is kept from before, and starting the workers ...")
    with closing(Processes(spec)) as pool, reference_pool() as beside:
        say(console, f"{spec.settings.workers} workers ready after {perf_counter() - began:.0f} s.")
        curves = beside.apply_async(references, (spec.options,))
        display = (Live if console.is_terminal else Plain)(
            console, spec.settings.workers, spec.settings.rounds, len(state.progress["rounds"]) if state else 0
        )
        with display:
            server = Server(spec, pool, display, path, state)
            server.run()
        say(console, "Waiting for the curves of each worker alone and of central training ...")
        conclude(spec, server.progress, server.compared, curves.get(), folder, console, "processes",
                 perf_counter() - began)  # fmt: skip


def say(console: Console, text: str):
    """Print a line as it is."""
    console.print(Text(text), soft_wrap=not console.is_terminal)


def introduce(spec: FederatedSpec) -> str:
    """A run in two sentences."""
    run, settings = spec.run, spec.settings
    sizes = ", ".join(str(len(part)) for part in spec.parts)
    return (
        f"{settings.workers} workers, {settings.strategy}, split {settings.split}: {sizes} of "
        f"{count(len(run.dataset.train))} samples of {run.dataset.name}; {settings.rounds} rounds of "
        f"{settings.local_epochs} epochs. Network {run.network_text}: {count(run.network.weights)} weights. "
        f"{run.chip_text}."
    )


def reference_pool():
    """A process beside the run, to compute :func:`references` in; as a context it is ended at once."""
    return get_context("forkserver").Pool(1, _stay_beside)


def _stay_beside():
    """Leave Ctrl-C to the run, and end when the run ends, however it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def references(options: dict) -> Curves:
    """Accuracy curves of every worker alone, and of central training."""
    spec = FederatedSpec.make(options)
    return [alone(spec, worker) for worker in range(spec.settings.workers)], central(spec)


def conclude(spec: FederatedSpec, progress: Progress, compared: int, curves: Curves, folder: Path, console: Console,
             engine: str, seconds: float):  # fmt: skip
    """Write record and report of a run that has ended, and say how it went. ``curves``: of :func:`references`."""
    each, all_ = curves
    run, rounds = spec.run, progress.rounds
    labels = [run.dataset.train_labels[part] for part in spec.parts]
    record = FederatedRecord(
        title=f"{run.network_text} on {run.dataset.name}, learnt by {spec.settings.workers} workers",
        settings={"rounds": len(rounds)} | spec.settings_values(),
        rounds=rounds,
        alone=each,
        central=all_,
        classes=[np.bincount(own, minlength=run.dataset.classes).tolist() for own in labels],
        compared=compared,
        engine=engine,
        seconds=seconds,
    )
    write_whole(folder / "run.json", record.to_json())
    write_report(folder / "report.html", record)
    left_out = sum(len(done.left_out) for done in rounds)
    say(
        console,
        f"\nTest accuracy: {percent(record.accuracy)}; all samples in one place: {percent(all_[-1])}; each worker "
        f"alone: {', '.join(percent(own[-1]) for own in each)}.\n"
        + (f"All {count(compared)} weights that the workers sent equal golden's, bit for bit.\n"
           if compared else "")
        + f"{count(record.octets / 1000)} kB exchanged; answers left out: {left_out}; {seconds:.0f} s in all.\n"
        f"Report: {folder / 'report.html'}",
    )  # fmt: skip
