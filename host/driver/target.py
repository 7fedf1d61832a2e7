"""What a network is trained on: the simulated chip itself, one behind a serial line, simulated or real, or golden."""

from dataclasses import dataclass
from pathlib import Path

from trident.boards.devices import board_of, setup_of
from trident.host.driver.serial_link import SerialLink
from trident.host.driver.serial_port import SerialPort, ports
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.line import divider
from trident.hw.isa.mesh import MeshConfig
from trident.sim.rtl.line import CLOCK, simulated_chip
from trident.sim.rtl.verilated import VerilatedChip

FASTEST = 100_000_000  # bits per second of a serial line
TARGETS = ("rtl", "sim-link", "serial", "golden")
BAUD = 3_000_000


@dataclass(frozen=True)
class Target:
    """``kind``: rtl, a simulated chip behind its host port; sim-link, one behind a simulated serial line; serial, a
    board at ``port``; golden, no chip at all. ``baud``: of the line, by default the board's. ``board``, ``setup``:
    names of a board and its set-up, whose core and mesh are then used.

    Raises :class:`TridentError` for what is not known, not needed or missing.
    """

    kind: str = "rtl"
    port: str | None = None
    baud: int | None = None
    board: str | None = None
    setup: str | None = None

    def __post_init__(self):
        if self.kind not in TARGETS:
            raise TridentError(f"unknown target {self.kind!r}: choose one of {', '.join(TARGETS)}")
        if self.kind == "serial" and not self.port:
            raise TridentError(
                f"the target serial needs a port; the serial ports of this computer: {', '.join(ports()) or 'none'}"
            )
        if self.port and self.kind != "serial":
            raise TridentError(f"a port is for the target serial, not for {self.kind}")
        if self.baud is not None and not 1 <= self.baud <= FASTEST:
            raise TridentError(f"baud must be within 1 to {FASTEST} bits per second, not {self.baud}")
        if self.kind in ("rtl", "golden") and self.baud:
            raise TridentError(f"a baud rate is for the targets serial and sim-link: {self.kind} has no line")
        if self.setup and not self.board:
            raise TridentError("a set-up is that of a board: name the board, too")
        if self.board:
            setup_of(self.board, self.setup or "core")
        if self.kind == "sim-link":
            divider(CLOCK, self.line_baud)

    @property
    def line_baud(self) -> int:
        """Bits per second of the line."""
        return self.baud or (board_of(self.board).baud if self.board else BAUD)

    def chip(self) -> tuple[CoreConfig, MeshConfig] | None:
        """Core and mesh of the board's set-up; None where no board is named."""
        return setup_of(self.board, self.setup or "core")[:2] if self.board else None

    def connect(
        self, cfg: CoreConfig, mesh: MeshConfig, waves: Path | None = None, threads: int | None = None,
        workload: str | None = None,
    ) -> VerilatedChip | SerialLink:  # fmt: skip
        """The chip. ``waves``, ``threads`` and ``workload`` are for a simulated one, see :class:`VerilatedChip`.

        Raises what :class:`VerilatedChip`, :class:`SerialLink` and :class:`SerialPort` raise.
        """
        if self.kind == "rtl":
            return VerilatedChip(cfg, mesh, waves, threads=threads, workload=workload)
        line = SerialPort(self.port, self.line_baud) if self.port else simulated_chip(cfg, mesh, self.line_baud)
        try:
            return SerialLink(line, cfg, mesh)
        except TridentError:
            line.close()
            raise
