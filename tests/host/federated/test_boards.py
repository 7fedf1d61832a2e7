"""A board among simulated chips: a serial port, behind which a simulated chip is in the board's place."""

import os
from io import StringIO

import pytest
from rich.console import Console

from tests.host.federated.case import Watch, same, spec_of, weights_of
from tests.hw.link.terminal import terminal
from trident.host.federated.pool import InProcess
from trident.host.federated.run import federate
from trident.host.federated.server import Server
from trident.sim.rtl.line import simulated_chip


@pytest.mark.skipif(os.environ.get("TRIDENT_EXHAUSTIVE") != "1", reason="the chip is built with its link")
def test_a_board_and_two_simulated_chips(data, tmp_path):
    spec, text = spec_of(data), StringIO()
    golden = Server(spec, InProcess(spec), Watch(), tmp_path / "g.npz", golden=False)
    golden.run()
    with terminal(simulated_chip(spec.run.cfg, spec.run.mesh, 3_000_000)) as port:
        federate(spec_of(data, target="serial", ports=[port]), tmp_path, Console(file=text))
    assert same(weights_of(tmp_path / "checkpoint.npz"), golden.weights)
    assert "left out: 0" in text.getvalue()
