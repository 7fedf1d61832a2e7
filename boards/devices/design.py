"""From a board and the name of a set-up to the configuration of what is built."""

import re
from dataclasses import dataclass, replace

from trident.boards.devices.board import Board, SetUp
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for

_MESH = re.compile("([1-9][0-9]{0,3})x([1-9][0-9]{0,3})", re.IGNORECASE)


@dataclass(frozen=True)
class Design:
    """One design, checked: a board, the name of the set-up and what stands behind it.

    cfg, mesh: of core and network; clock_hz: of all the logic.
    """

    board: Board
    name: str
    setup: SetUp
    cfg: CoreConfig
    mesh: MeshConfig

    @property
    def clock_hz(self) -> int:
        return self.setup.clock_hz

    @property
    def folder(self) -> str:
        """Name of its folder and of its files: board, set-up, and lanes where they are not the preset's."""
        usual = CoreConfig.preset(self.setup.preset or self.board.preset, **self.setup.core).lanes
        lanes = f"-lanes{self.cfg.lanes}" if self.cfg.lanes != usual else ""
        return f"{self.board.name}-{self.name}{lanes}"


def make_design(board: Board, setup: str, lanes: int | None = None) -> Design:
    """The plan of a board and a set-up by name, or of ``WxH`` for any mesh of up to 8 by 8 cores.

    ``lanes``: of each core, by default the preset's. Raises :class:`TridentError` for a set-up that the board has not,
    and for parameters that a core or mesh cannot have.
    """
    name = setup.lower()
    known = [key for key in board.setups if key != "mesh"]
    if name in known:
        chosen = board.setups[name]
    elif size := _MESH.fullmatch(name):
        width, height = map(int, size.groups())
        base = board.setups["core" if width * height == 1 else "mesh"]
        chosen = replace(base, width=width, height=height)
    else:
        raise TridentError(
            f"{board.name} has no set-up {setup!r}: choose one of {', '.join(known)}, or a mesh as in 3x2"
        )
    changes = dict(chosen.core)
    if lanes is not None:
        changes["lanes"] = lanes
        if lanes != 1:  # a shared engine has one
            chosen = replace(chosen, preset=None)
    cfg = CoreConfig.preset(chosen.preset or board.preset, **changes)
    mesh = MeshConfig.preset("FPGA", width=chosen.width, height=chosen.height, **chosen.network)
    mesh.check_programmed()
    return Design(board, name, chosen, cfg, mesh_for(cfg, mesh))
