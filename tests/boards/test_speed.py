"""The figures of training speed: which report counts, what limits, and what SpikingJelly is measured on."""

from dataclasses import replace

import pytest

import trident.bench.chip.fpga
from tests.boards.test_results import REPORT
from trident.bench.chip.fpga import WORK, Work, chip_rate, chosen, cycles_per_sample, measure_fpga, spikingjelly_rate
from trident.bench.results.tables import training_speed
from trident.boards.devices import design_of
from trident.boards.flow.figures import Clock
from trident.host.report.figure import Figure
from trident.host.train.spec import RunSpec

PLACED = replace(REPORT, board="ulx3s-85f", clocks=[Clock("clk", 60, 50)])


def test_the_report_that_counts():
    core, mesh = replace(PLACED, setup="core", cores=1), replace(PLACED, setup="mesh20", cores=20)
    smaller, larger = replace(PLACED, setup="3x2", cores=6), replace(PLACED, setup="8x8", cores=64)
    assert chosen({}) is chosen({"a": core, "b": replace(mesh, clocks=[])}) is None
    assert chosen({"a": replace(mesh, board="ecpix5-85")}) is None
    assert chosen({"a": core, "b": smaller}) is smaller
    assert chosen({"a": smaller, "b": mesh, "c": larger}) is mesh


def test_the_slower_of_chip_and_line_counts():
    assert chip_rate(1000, 50e6, 65, 300_000) == 300_000 / 65
    assert chip_rate(100_000, 50e6, 65, 300_000) == 500


def test_cycles_of_a_sample_are_counted_on_the_chip(monkeypatch):
    """Golden is compared on the way; two passes over 36 and 10 neurons' weights are the least."""
    monkeypatch.setitem(WORK, "digits", Work("8x8x1-4c3s2-10", 4))
    cycles = cycles_per_sample(design_of("ulx3s-85f", "2x1"), "digits")
    assert 2000 < cycles < 60_000


@pytest.mark.parametrize("data", WORK)
@pytest.mark.parametrize("board", ["ulx3s-85f", "ecpix5-85"])
def test_the_fast_set_up_has_room_for_what_is_measured(board, data):
    design, work = design_of(board, "fast"), WORK[data]
    spec = RunSpec.make(
        data, work.net, neuron=work.neuron, train={"batch": work.batch}, built=(design.cfg, design.mesh)
    )
    assert spec.network.weights > 0 and spec.cfg == design.cfg


@pytest.mark.oracle
def test_spikingjelly_trains_the_same_networks(monkeypatch):
    pytest.importorskip("torch", reason="the extra oracle is not installed")
    pytest.importorskip("spikingjelly", reason="the extra oracle is not installed")
    monkeypatch.setattr(trident.bench.chip.fpga, "SECONDS", 0.01)
    assert all(spikingjelly_rate(data, 2) > 0 for data in WORK)


def test_figures_are_left_out_with_a_reason(monkeypatch, capsys):
    monkeypatch.setattr(trident.bench.chip.fpga, "committed", dict)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert list(measure_fpga("")) == []
    said = capsys.readouterr().err
    assert "no mesh on ulx3s-85f has a report" in said and said.count("pip install '.[oracle]'") == len(WORK)


def test_table():
    found = [Figure(name, "samples/s", 1234.4, "higher") for name in (
        "fpga.mesh20.samples_per_second.digits", "cpu.spikingjelly.samples_per_second.digits")]  # fmt: skip
    text = training_speed({figure.name: figure for figure in found})
    assert "ulx3s-85f mesh20, cycles counted | 1,234 |" in text and "SpikingJelly, this processor | 1,234 |" in text
