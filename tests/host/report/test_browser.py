"""The reports in a real browser: nothing is wider than the page, on a phone's width and on a screen's."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.host.report.test_report import RUN
from trident.host.federated.report import FederatedRecord
from trident.host.federated.report import write_report as write_federated
from trident.host.federated.server import Round
from trident.host.report.graph import graph_svg
from trident.host.report.report import write_report
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

LONG = {"placement": ",".join(map(str, range(64))), "data digest": "f" * 64, "a name of a setting that is long": 10**15}
NETWORK = Network.parse("8x8x1-4c3-6c3s2-10")


def _training(path: Path):
    counts = [[9 - abs(label - guess) for guess in range(11)] for label in range(10)]
    run = replace(
        RUN, settings=RUN.settings | LONG, chip=LONG, counters=LONG, confusion=counts,
        warnings=["word " * 60, "x" * 300],
        floorplan=graph_svg(NETWORK, Partition.single(NETWORK), (0,)),
        graph=graph_svg(NETWORK, Partition.single(NETWORK), (0,)),
    )  # fmt: skip
    write_report(path, run)


def _federated(path: Path):
    rounds, each = [Round(1, 0.1, 0.9, left_out={"3": "it sent " + "x" * 400})], [[0.5]] * 5
    run = FederatedRecord("t" * 200, LONG, rounds, each, [0.9], [[3] * 10] * 5, 9, "processes", 1.0)
    write_federated(path, run)


@pytest.fixture(scope="module")
def browser():
    """Skips where Qt's browser, or a library of the system that it needs, is not there."""
    command = [sys.executable, "-c", "import PySide6.QtWebEngineWidgets"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("there is no browser: it is the extra browser")


@pytest.mark.slow
@pytest.mark.parametrize("width", [500, 1400])
@pytest.mark.parametrize("write", [_training, _federated])
def test_nothing_is_wider_than_the_page(browser, tmp_path, width, write):
    write(tmp_path / "report.html")
    headless = {
        "QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1",
        "QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox --disable-gpu",
    }  # fmt: skip
    script = Path(__file__).with_name("browser.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "report.html"), str(width)], env=os.environ | headless,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60, check=False,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["wider"] == []
    assert width - 30 <= found["width"] <= width and found["content"] <= found["width"]
