"""Federated training: accuracy of the golden model against central training, and what Flower costs."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from trident.host.federated.pool import InProcess
from trident.host.federated.references import central
from trident.host.federated.serve import chip_learner
from trident.host.federated.server import Round, Server
from trident.host.federated.spec import FederatedSpec
from trident.host.federated.worker import Worker
from trident.host.report.figure import Figure

# Most that the accuracy may be below that of central training, by split
BOUNDS = {"iid": 0.02, "dirichlet:0.3": 0.05}
WORKERS, ROUNDS = 5, 4  # to measure Flower with


class Silent:
    """A display that shows nothing."""

    def worker(self, number: int, stage: str, done: int, of: int):
        """A worker has come to a stage."""

    def left_out(self, number: int, fault: str):
        """A worker is left out, which golden workers never are."""
        raise RuntimeError(f"worker {number} was left out: {fault}")

    def round(self, done: Round):
        """A round is done."""


def measure_federated(only: str = "") -> Iterator[Figure]:
    """The figures whose names begin with ``only``: test accuracy of central training and of each split after ten rounds
    of five golden workers, which the RTL equals bit for bit, and how far it is below central training."""
    if "federated.flower".startswith(only) or only.startswith("federated.flower"):
        yield from _flower()
    if only.startswith("federated.flower"):
        return
    reference = central(FederatedSpec.make({}))[-1]
    yield Figure("federated.central.test_accuracy", "fraction", reference, "higher")
    for how, bound in BOUNDS.items():
        spec = FederatedSpec.make({"federated": {"split": how}})
        with TemporaryDirectory() as scratch:
            server = Server(spec, InProcess(spec), Silent(), Path(scratch) / "checkpoint.npz", golden=False)
            server.run()
        accuracy, name = server.progress.rounds[-1].accuracy, how.partition(":")[0]
        yield Figure(f"federated.{name}.test_accuracy", "fraction", accuracy, "higher")
        yield Figure(f"federated.{name}.below_central", "fraction", max(reference - accuracy, 0.0), "lower", bound)


def _flower() -> Iterator[Figure]:
    """Seconds of a round of :data:`WORKERS` tiny chips, after the first, in one process and with Flower on loopback;
    none where Flower is not installed."""
    if find_spec("flwr") is None:
        return
    from trident.host.federated.flower.run import federate_with_flower

    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 3, 90)
        np.savez(folder / "data.npz", images=rng.random((90, 6)), labels=labels, classes=3)
        spec = FederatedSpec.make({
            "data": str(folder / "data.npz"), "net": "6-5-3", "preset": "TINY", "mesh": "1x1", "train": {"batch": 4},
            "federated": {"workers": WORKERS, "rounds": ROUNDS, "local_epochs": 1},
        })  # fmt: skip
        learner = chip_learner(spec, 0)
        pool = InProcess(spec, {number: Worker(spec, number, learner) for number in range(WORKERS)})
        server = Server(spec, pool, Silent(), folder / "checkpoint.npz")
        server.run()
        pool.close()
        federate_with_flower(spec, folder / "flower", Console(file=StringIO()))
        rounds = json.loads((folder / "flower" / "run.json").read_text())["rounds"]
    alone = float(np.mean([done.seconds for done in server.progress.rounds[1:]]))
    flower = float(np.mean([done["seconds"] for done in rounds[1:]]))
    yield Figure("federated.flower.round_in_process", "s", alone, "lower")
    yield Figure("federated.flower.round", "s", flower, "lower")
    yield Figure("federated.flower.cost", "s", flower - alone, "lower")
