"""Boards and set-ups: every one makes a plan and a top, and what there is not is refused in one sentence."""

import re

import pytest

from trident.boards.devices import BOARDS, design_of, every_setup, setup_of
from trident.boards.devices.board import RESOURCES
from trident.boards.devices.families import FAMILIES
from trident.hw.errors import TridentError

pytestmark = pytest.mark.fpga


@pytest.mark.parametrize(("board", "setup"), every_setup())
def test_every_setup_makes_a_plan(board, setup):
    design = design_of(board, setup)
    declared = BOARDS[board].setups[setup]
    assert design.mesh.cores == declared.width * declared.height
    assert design.folder == f"{board}-{setup}"
    assert setup_of(board, setup) == (design.cfg, design.mesh, declared.clock_hz)


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_boards_are_whole(board):
    assert set(board.limits) == set(RESOURCES)
    assert set(FAMILIES[board.family].netlist) == set(RESOURCES)
    assert {"core", "federated", "mesh"} <= set(board.setups)
    assert set(board.leds) == {"heartbeat", "busy", "error"}


def test_meshes_and_lanes_of_any_size():
    design = design_of("ULX3S-85F", "3X2", lanes=2)
    assert (design.mesh.width, design.mesh.height, design.cfg.lanes) == (3, 2, 2)
    assert design.folder == "ulx3s-85f-3x2-lanes2"
    assert design_of("ulx3s-85f", "1x1").setup.clock_hz == design_of("ulx3s-85f", "core").setup.clock_hz
    assert design_of("ulx3s-85f", lanes=1).folder == "ulx3s-85f-core"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("",), r"name a board with BOARD=, one of ulx3s-85f, .*tang-nano-9k"),
        (("ulx4",), r"unknown board 'ulx4': choose one of ulx3s-85f, .*tang-nano-9k"),
        (("icebreaker", "mesh20"), r"icebreaker has no set-up 'mesh20': choose one of core, .*, or a mesh as in 3x2"),
        (("ulx3s-85f", "9x1"), r"a mesh of 9x1 is for forecasts: jobs name cores of up to 8x8"),
        (("ulx3s-85f", "0x1"), r"ulx3s-85f has no set-up '0x1'.*"),
        (("ulx3s-85f", "core", 3), r"lanes must be a power of two, not 3"),
    ],
)
def test_refusals(arguments, said):
    with pytest.raises(TridentError) as refused:
        design_of(*arguments)
    assert re.fullmatch(said, str(refused.value))


@pytest.mark.parametrize(("board", "setup"), every_setup())
def test_tops(board, setup):
    """Clock, serial line and LEDs have pins; a PLL is there just where the clock is not the crystal's."""
    pytest.importorskip("amaranth_boards", reason="the extra fpga is not installed")
    from trident.boards.flow.emit import top_files

    design = design_of(board, setup)
    files = top_files(design)
    (constraints,) = (text for name, text in files.items() if name != "top.il")
    for port in ("rx", "tx", "led"):
        assert port in constraints
    pins = {"ecp5": "SITE", "ice40": "set_io", "gowin": "IO_LOC"}[design.board.family]
    assert constraints.count(pins) == 6 + bool(design.board.reset)
    assert ("EHXPLLL" in files["top.il"]) == (design.clock_hz != design.board.crystal_hz)
    assert "linked_chip" in files["top.il"]
    assert files == top_files(design), "the same plan gives the same files"
