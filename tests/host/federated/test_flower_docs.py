"""The commands for several computers in docs/federated.md, run on this one (TRIDENT_EXHAUSTIVE=1: a minute)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.host.federated.case import Watch, same, spec_of, weights_of
from trident.host.federated.pool import InProcess
from trident.host.federated.server import Server
from trident.host.train.checkpoint import FEDERATED, Checkpoint

pytestmark = pytest.mark.slow

pytest.importorskip("flwr", reason="Flower is not installed: it is the extra flower")
ROOT = Path(__file__).parents[3]


def parts(values):
    """The parts of the page's code that a blank line separates, with these values in the place of the page's."""
    page = (ROOT / "docs" / "federated.md").read_text().partition("<!-- commands of several computers -->\n```sh\n")[2]
    text = page.partition("\n```\n")[0]
    for name, value in values.items():
        assert name in text
        text = text.replace(name, value)
    return [part.partition("\n")[2] for part in text.split("\n\n")]


def until(there, seconds=60):
    end = monotonic() + seconds
    while not there():
        assert monotonic() < end
        sleep(0.2)


@pytest.mark.skipif(os.environ.get("TRIDENT_EXHAUSTIVE") != "1", reason="TRIDENT_EXHAUSTIVE=1 runs it")
def test_the_documented_commands(data, tmp_path):
    from trident.host.federated.flower.network import answers, end, free_port
    from trident.host.federated.flower.server_app import OUTCOME

    spec, port, log = spec_of(data, workers=2, timeout=120.0), free_port(), (tmp_path / "log").open("w")
    setting, server, worker, run = parts({
        "192.0.2.1": "127.0.0.1", "8000": str(port), "FOLDER": str(tmp_path), "OPTIONS": json.dumps(spec.options),
        "$PWD/.venv/bin": str(Path(sys.executable).parent),
    })  # fmt: skip
    certify, server = re.split(r"\n(?! )", server)
    started, outcome = [], tmp_path / OUTCOME

    def start(command):
        started.append(subprocess.Popen(["bash", "-c", f"{setting}\n{command}"], cwd=ROOT, stdout=log, stderr=log))

    try:
        subprocess.run(["bash", "-c", f"{setting}\n{certify}"], cwd=ROOT, check=True)
        start(server)
        for number in ("0", "1"):
            serve, node = re.split(r"\n(?! )", re.sub("(worker[ =]?)0", rf"\g<1>{number}", worker))
            start(serve)
            start(f"{node} --port {free_port()}")
        until(lambda: answers(port) and all((tmp_path / f"worker{number}").exists() for number in range(2)))
        subprocess.run(["bash", "-c", f"{setting}\n{run}"], cwd=ROOT, check=True)
        until(lambda: outcome.exists() and "compared" in json.loads(outcome.read_text()))
    finally:
        end({process.pid for process in started})
        for process in started:
            process.wait()
        log.close()
    golden = Server(spec, InProcess(spec), Watch(), tmp_path / "g.npz", golden=False)
    golden.run()
    assert same(weights_of(tmp_path / "checkpoint.npz"), golden.weights)
    assert len(Checkpoint.load(tmp_path / "checkpoint.npz", FEDERATED).progress["rounds"]) == 2
