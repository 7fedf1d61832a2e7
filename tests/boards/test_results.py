"""Reports, the table that is made of them, and the figures."""

import json
from dataclasses import replace

import pytest

from trident.boards.flow.figures import Clock, Use
from trident.boards.flow.stages import Stage
from trident.boards.report.report import Report, read_report
from trident.boards.report.results import EMPTY, PAGE, committed, figures, fill, summary, table, take_over
from trident.hw.errors import TridentError

REPORT = Report(
    board="ulx3s-85f", setup="core", part="LFE5U-85F-6BG381C", cores=1, lanes=1, clock_hz=80_000_000, baud=3_000_000,
    use={"lut": Use(8364, 83640), "ff": Use(2000, 83640), "bram": Use(12, 208), "dsp": Use(1, 156)},
    clocks=[Clock("clk", 85.5, 80)], options="synth_ecp5 flat; nextpnr-ecp5", seed=1, date="2026-11-21",
    stages=[
        Stage("synthesise", "yosys 0.70 (PyPI)", "ab", 60, 59, 500),
        Stage("place", "nextpnr 0.11 (PyPI)", "cd", 30, 29, 900.4),
    ],
    commit="1234567", digest="ef", file="build/x.bit", sha256="12",
)  # fmt: skip


def test_reports_survive_their_file():
    assert read_report(REPORT.text()) == REPORT
    for text in ("", "[]", "{}", json.dumps({"board": "x"})):
        with pytest.raises(TridentError, match=r"x\.json is not a report as make bitstream writes it"):
            read_report(text, "x.json")


def test_table():
    lines = table({"a": REPORT, "b": replace(REPORT, clocks=[Clock("clk", 70.25, 80)], setup="mesh20")}).splitlines()
    assert lines[2] == (
        "| ulx3s-85f | core | 1 | 1 | 8,364 (10 %) | 2,000 (2 %) | 12 (6 %) | 1 (1 %) | 85.5 | 80 | 1.5 | 900 | 1 | "
        "2026-11-21 | 1234567 |"
    )
    assert "| 70.2 **missed** |" in lines[3]
    assert lines[-1] == "Tools: nextpnr 0.11 (PyPI), yosys 0.70 (PyPI)."
    full = replace(REPORT, clocks=[], use=REPORT.use | {"bram": Use(312, 208)})
    assert "| 312 (150 %) | 1 (1 %) | **does not fit** |" in table({"a": full})
    assert "| not placed |" in table({"a": replace(REPORT, clocks=[])})
    assert table({}) == EMPTY


def test_figures():
    found = {figure.name: figure.value for figure in figures({"a": REPORT})}
    assert found == {
        "fpga.ulx3s-85f.core.lut": 8364, "fpga.ulx3s-85f.core.ff": 2000, "fpga.ulx3s-85f.core.bram": 12,
        "fpga.ulx3s-85f.core.dsp": 1, "fpga.ulx3s-85f.core.fmax_mhz": 85.5, "fpga.ulx3s-85f.core.minutes": 1.5,
    }  # fmt: skip
    assert summary(REPORT) == "10 % LUT, 2 % FF, 6 % BRAM, 1 % DSP; 85.5 MHz"
    full = replace(REPORT, use=REPORT.use | {"bram": Use(312, 208)})
    assert summary(full) == "too big: 150 % BRAM"


def test_bitstreams_and_estimates_are_taken_over(tmp_path):
    estimate = replace(REPORT, file="", clocks=[])
    missed = replace(REPORT, file="")
    for name, file, report in (
        ("good", "report", REPORT), ("good", "estimate", estimate), ("missed", "report", missed),
        ("big", "estimate", estimate),
    ):  # fmt: skip
        (tmp_path / "built" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "built" / name / f"{file}.json").write_text(report.text())
    kept = tmp_path / "kept"
    kept.mkdir()
    take_over(tmp_path / "built", kept)
    assert committed(kept) == {"good": REPORT, "big": estimate}


def test_page_is_what_the_reports_say():
    text = PAGE.read_text()
    assert fill(text, table(committed())) == text
