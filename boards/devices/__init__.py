"""The boards that bitstreams are built for, and their set-ups.

A board is declared in a file of its own; :data:`BOARDS` has them all by name.
"""

from trident.boards.devices import ecpix5, icebreaker, orangecrab, tang_nano_9k, ulx3s
from trident.boards.devices.board import Board
from trident.boards.devices.design import Design, make_design
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig

BOARDS: dict[str, Board] = {
    board.name: board for module in (ulx3s, ecpix5, orangecrab, icebreaker, tang_nano_9k) for board in module.BOARDS
}


def board_of(name: str) -> Board:
    """The board called ``name``. Raises :class:`TridentError` with the list for a name it does not know."""
    if not name:
        raise TridentError(f"name a board with BOARD=, one of {', '.join(BOARDS)}")
    if name.lower() not in BOARDS:
        raise TridentError(f"unknown board {name!r}: choose one of {', '.join(BOARDS)}")
    return BOARDS[name.lower()]


def design_of(board: str, setup: str = "core", lanes: int | None = None) -> Design:
    """What is built for a board and a set-up, both by name; ``lanes`` of each core, by default the preset's.

    Raises :class:`TridentError` for a board or set-up that there is not, and for lanes that a core cannot have.
    """
    return make_design(board_of(board), setup, lanes)


def every_setup() -> list[tuple[str, str]]:
    """The names of every board and set-up; any other mesh can be built besides."""
    return [(board.name, setup) for board in BOARDS.values() for setup in board.setups if setup != "mesh"]


def setup_of(board: str, setup: str = "core", lanes: int | None = None) -> tuple[CoreConfig, MeshConfig, int]:
    """The core, the mesh and the clock in Hz of a board's set-up; for arguments and errors see :func:`design_of`."""
    design = design_of(board, setup, lanes)
    return design.cfg, design.mesh, design.clock_hz
