"""``python -m trident.boards.flow.emit BOARD SETUP [LANES]``: write the Verilog of the chip, the board's top and its
constraints into the current folder.

Written: chip.v, top.il, and top with the family's ending for constraints.
"""

import importlib
import sys
from pathlib import Path

from amaranth.build import Attrs, Pins, Resource

from trident.boards.devices import design_of
from trident.boards.devices.board import Board
from trident.boards.devices.design import Design
from trident.boards.devices.families import FAMILIES
from trident.boards.flow.top import CHIP, BoardTop
from trident.hw.link.linked_chip import emit_linked_chip


def platform_of(board: Board):
    """The board's platform of amaranth-boards, with the pins that the board adds."""
    module, _, name = board.platform.partition(":")
    platform = getattr(importlib.import_module(module), name)()
    platform.add_resources(
        Resource(pin.name, 0, Pins(pin.pin, dir=pin.direction, conn=pin.connector, invert=pin.inverted),
                 Attrs(**pin.attributes))
        for pin in board.pins
    )  # fmt: skip
    return platform


def top_files(design: Design) -> dict[str, str]:
    """RTLIL of the top and constraints of the pins, by file name."""
    files = platform_of(design.board).prepare(BoardTop(design), "top", emit_src=False).files
    return {name: files[name] for name in ("top.il", f"top{FAMILIES[design.board.family].constraints}")}


def main():
    """Write the files; arguments as :func:`boards.design_of` takes them."""
    design = design_of(*sys.argv[1:3], *map(int, sys.argv[3:4]))
    board = design.board
    for name, text in top_files(design).items():
        Path(name).write_text(text)
    Path("chip.v").write_text(
        emit_linked_chip(design.cfg, design.mesh, design.clock_hz, board.baud, top=CHIP, buffer=design.setup.buffer)
    )


if __name__ == "__main__":
    main()
