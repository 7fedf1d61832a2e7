"""Loading a bitstream into a board with openFPGALoader."""

import shutil
import subprocess
from pathlib import Path

from trident.boards.devices.design import Design
from trident.hw.errors import TridentError

HELP = "https://trabucayre.github.io/openFPGALoader/guide/install.html"


def program(design: Design, file: Path):
    """Load ``file``, the bitstream of ``plan``, into its board, until its power goes.

    Raises :class:`TridentError` when the file or openFPGALoader is not there, or when it fails.
    """
    board = design.board
    if not file.exists():
        raise TridentError(f"{file} is not there: make bitstream BOARD={board.name} SETUP={design.name} builds it")
    loader = shutil.which("openFPGALoader")
    if loader is None:
        raise TridentError(
            f"openFPGALoader is not installed: apt, dnf, pacman and brew have it as openfpgaloader, see {HELP}; "
            f"then: openFPGALoader -b {board.loader} {file}"
        )
    if subprocess.run([loader, "-b", board.loader, str(file)], check=False).returncode:
        raise TridentError(f"openFPGALoader could not load {file}: see what it says above")
