"""The server that Flower runs: the rounds of a federated run, with Flower's nodes as workers."""

import json
import os
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from trident.host.federated.flower.pool import FlowerPool
from trident.host.federated.progress import Plain
from trident.host.federated.server import Server, TooFewWorkers, resumed
from trident.host.federated.spec import FederatedSpec
from trident.host.report.terminal import terminal
from trident.host.train.compare import Divergence
from trident.hw.errors import TridentError
from trident.hw.files import make_folder, write_whole

OUTCOME = "flower.json"
FAILURES = {failure.__name__: failure for failure in (TooFewWorkers, Divergence, TridentError)}
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context):
    """Run all rounds. ``run_config``: ``options``, the JSON of :meth:`FederatedSpec.make`; ``folder``, where checkpoint
    and outcome go; ``resume``.

    The outcome, a JSON object, has ``process`` (the number of this process) from the beginning, and at the end
    ``compared`` (weights found equal to golden's), or ``failure`` and ``sentence``.
    """
    config = context.run_config
    folder = Path(str(config["folder"]))
    make_folder(folder)
    path = folder / "checkpoint.npz"
    _write(folder, {"process": os.getpid()})
    try:
        spec = FederatedSpec.make(json.loads(str(config["options"])))
        state = resumed(spec, path) if config["resume"] else None
        display = Plain(terminal(), spec.settings.workers, spec.settings.rounds)
        server = Server(spec, FlowerPool(grid, spec), display, path, state)
        server.run()
    except BaseException as fault:
        _write(folder, {"failure": type(fault).__name__, "sentence": str(fault)})
        raise
    _write(folder, {"compared": server.compared})


def _write(folder: Path, outcome: dict):
    write_whole(folder / OUTCOME, json.dumps({"process": os.getpid()} | outcome))
