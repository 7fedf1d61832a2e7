"""A federated run with Flower on this computer: the workers, Flower's server and its nodes as processes."""

import json
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter, sleep

from rich.console import Console

from trident.host.federated.flower.listeners import Listeners
from trident.host.federated.flower.network import Network, is_running
from trident.host.federated.flower.server_app import FAILURES, OUTCOME
from trident.host.federated.progress import Live, Plain
from trident.host.federated.run import conclude, introduce, reference_pool, references, say
from trident.host.federated.server import Progress, Round, resumed
from trident.host.federated.spec import FederatedSpec
from trident.host.report.progress import warn
from trident.host.train.checkpoint import FEDERATED, Checkpoint
from trident.hw.errors import TridentError
from trident.hw.files import only_one

START = 120.0  # seconds until the run that was submitted must have begun
POLL = 0.3  # seconds


def federate_with_flower(spec: FederatedSpec, folder: Path, console: Console, resume: bool = False, tls: bool = False):
    """As :func:`federate`, with Flower as the engine. Everything listens on loopback only; with
    ``tls``, what goes over it is encrypted, with certificates made for this run."""
    began, folder = perf_counter(), folder.resolve()
    state = resumed(spec, folder / "checkpoint.npz") if resume else None
    with ExitStack() as stack:
        stack.enter_context(only_one(folder))
        for name in (OUTCOME, *([] if resume else ["checkpoint.npz"])):
            (folder / name).unlink(missing_ok=True)
        for note in spec.run.notes:
            warn(console, note)
        say(console, introduce(spec))
        say(console, "Building the simulation, unless it is kept from before, and starting the workers and Flower ...")
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="trident-")))
        workers = stack.enter_context(closing(Listeners(spec, scratch)))
        network = stack.enter_context(closing(Network(workers.nodes, scratch, tls)))
        network.submit({"options": json.dumps(spec.options), "folder": str(folder), "resume": resume})
        say(console, f"{spec.settings.workers} workers and Flower ready after {perf_counter() - began:.0f} s.")
        curves = stack.enter_context(reference_pool()).apply_async(references, (spec.options,))
        shown = len(state.progress["rounds"]) if state else 0
        display = (Live if console.is_terminal else Plain)(console, spec.settings.workers, spec.settings.rounds, shown)
        with display:
            compared = follow(folder, workers, network, display, shown)
        final = Checkpoint.load(folder / "checkpoint.npz", FEDERATED).progress
        progress = Progress(final["scales"], [Round(**values) for values in final["rounds"]])
        conclude(spec, progress, compared, curves.get(), folder, console, "Flower, TLS" if tls else "Flower",
                 perf_counter() - began)  # fmt: skip


def follow(folder: Path, workers: Listeners, network: Network, display: Live | Plain, shown: int) -> int:
    """Show how the run that was submitted goes, behind the first ``shown`` rounds, and look after the workers, until it
    ends; returns the number of weights compared.

    Raises what it ended with, and :class:`TridentError` when it does not begin or ends without a word.
    """
    until, outcome = monotonic() + START, {}
    while not outcome.keys() & {"compared", "failure"}:
        sleep(POLL)
        workers.hear(display.worker)
        # Looked at before the file: what it wrote at its end is there when it is gone
        gone = "process" in outcome and not is_running(outcome["process"])
        if (folder / OUTCOME).exists():
            outcome = json.loads((folder / OUTCOME).read_text())
        if (folder / "checkpoint.npz").exists():
            rounds = Checkpoint.load(folder / "checkpoint.npz", FEDERATED).progress["rounds"]
            for done in [Round(**values) for values in rounds[shown:]]:
                for number, fault in done.left_out.items():
                    display.left_out(int(number), fault)
                display.round(done)
                workers.mend(done)
            shown = max(shown, len(rounds))
        if gone and not outcome.keys() & {"compared", "failure"}:
            raise TridentError(f"Flower's server has ended the run: {network.tail()}")
        if not outcome and monotonic() > until:
            raise TridentError(f"Flower has not begun the run within {START:.0f} s: {network.tail()}")
        network.check()
    if "failure" in outcome:
        raise FAILURES.get(outcome["failure"], TridentError)(outcome["sentence"])
    return outcome["compared"]
