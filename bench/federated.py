"""Federated training: accuracy of the golden model against central training."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figure import Figure
from host.federated.crew import InProcess
from host.federated.references import central
from host.federated.server import Round, Server
from host.federated.spec import FederatedSpec

# Most that the accuracy may be below that of central training, by split
BOUNDS = {"iid": 0.02, "dirichlet:0.3": 0.05}


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
