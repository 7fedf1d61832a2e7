"""The command from start to report, with processes, and what it refuses."""

from io import StringIO

import pytest
from rich.console import Console

from tests.host.federated.case import Watch, spec_of
from trident.host.federated.pool import InProcess
from trident.host.federated.progress import Live
from trident.host.federated.report import FederatedRecord
from trident.host.federated.run import federate
from trident.host.federated.server import Round, Server
from trident.host.train.checkpoint import FEDERATED, Checkpoint
from trident.hw.errors import TridentError


def test_the_command_from_start_to_report(data, tmp_path):
    spec, text = spec_of(data, split="dirichlet:0.3"), StringIO()
    federate(spec, tmp_path / "out", Console(file=text, width=100))
    said = text.getvalue()
    assert "round  2/2" in said and "weights that the workers sent equal golden's, bit for bit" in said
    run = FederatedRecord.from_json((tmp_path / "out" / "run.json").read_text())
    assert run.compared == 6 * spec.run.network.weights and run.octets > 0 and len(run.central) == 2
    assert [len(own) for own in run.alone] == [2] * 3 and sum(map(sum, run.classes)) == 72
    assert run.counters["forward.useful"] > 0
    golden = Server(spec, InProcess(spec), Watch(), tmp_path / "c.npz")
    golden.run()
    assert [done.accuracy for done in run.rounds] == [done.accuracy for done in golden.progress.rounds]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Bit-exact" in page and page.count("<svg") == 4
    longer = spec_of(data, split="dirichlet:0.3", rounds=3)
    federate(longer, tmp_path / "out", Console(file=text), resume=True)
    assert len(Checkpoint.load(tmp_path / "out" / "checkpoint.npz", FEDERATED).progress["rounds"]) == 3


def test_a_record_that_is_none_is_refused():
    with pytest.raises(TridentError, match="not the JSON of a federated run"):
        FederatedRecord.from_json('{"rounds": []}')


def test_the_live_table_shows_every_worker():
    text = StringIO()
    with Live(Console(file=text, force_terminal=True, width=100, highlight=False), 2, 3) as display:
        display.worker(0, "training", 4, 9)
        display.left_out(1, "it died")
        answer = {"loss": 0.125, "accuracy": 0.5}
        display.round(Round(1, 0.1, 0.75, {"0": answer}, {"1": "it died"}, 500, 500, 1.0))
    said = text.getvalue()
    assert "training 4/9" in said and "left out: it died" in said and "50.00 %" in said and "test 75.00 %" in said
