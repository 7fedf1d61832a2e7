"""A design behind a serial line, simulated cycle by cycle by Verilator, and the host's pins of that line."""

import ctypes
import re
from pathlib import Path

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.frames import FLAG
from trident.hw.isa.mesh import MeshConfig
from trident.hw.link.linked_chip import emit_linked_chip
from trident.sim.rtl.build import library
from trident.sim.rtl.verilated import core_verilog

CLOCK = 25_000_000  # Hz, of simulated chips: the slowest clock that makes 3 Mbaud, so that fewest cycles are simulated
ROOM = 1 << 16


class SimulatedLine:
    """A stream of bytes to and from a design with the ports clk, rst, rx, tx, busy and error.

    Time is simulated time: it passes only in :meth:`read`, so the same calls give the same bytes.

    verilog, top: the design; clock_hz: of the design; baud: of the host's half, which may differ from the design's.
    flags: for the compiler, see :func:`library`.
    """

    latency = 0.0

    def __init__(self, verilog: str, top: str, clock_hz: int, baud: float, flags: tuple[str, ...] = ()):
        self.clock_hz, self.name = clock_hz, "the simulated line"
        wrapper = (
            f"\nmodule {top}_sim(input clk, input rx, output tx, output busy, output error);\n"
            f"  {top} top(.clk(clk), .rst(1'b0), .rx(rx), .tx(tx), .busy(busy), .error(error));\nendmodule\n"
        )
        defines = f'#define TOP_HEADER "V{top}_sim.h"\n#define TOP_CLASS V{top}_sim\n'
        driver = defines + (Path(__file__).parent / "drivers" / "line.cpp").read_text()
        self._lib = lib = library(verilog + wrapper, f"{top}_sim", driver, flags=flags)
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        lib.line_create.argtypes, lib.line_create.restype = [ctypes.c_double], pointer
        lib.line_destroy.argtypes = [pointer]
        lib.line_cycles.argtypes, lib.line_cycles.restype = [pointer], ctypes.c_uint64
        lib.line_lamps.argtypes, lib.line_lamps.restype = [pointer], ctypes.c_uint
        lib.line_waiting.argtypes, lib.line_waiting.restype = [pointer], size
        lib.line_write.argtypes = [pointer, ctypes.c_char_p, size]
        lib.line_run.argtypes = [pointer, ctypes.c_uint64, ctypes.c_char_p, size, ctypes.c_int]
        lib.line_run.restype = size
        self._model = lib.line_create(clock_hz / baud)
        self._out = ctypes.create_string_buffer(ROOM)

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._lib.line_cycles(self._model)

    def now(self) -> float:
        """Seconds of simulated time."""
        return self.cycles / self.clock_hz

    @property
    def busy(self) -> bool:
        """The design's output of that name."""
        return bool(self._lib.line_lamps(self._model) & 1)

    @property
    def error(self) -> bool:
        """The design's output of that name."""
        return bool(self._lib.line_lamps(self._model) & 2)

    def write(self, octets: bytes):
        """Put bytes behind those that wait to be sent."""
        self._lib.line_write(self._model, octets, len(octets))

    def waiting(self) -> int:
        """Bytes that have been written and not yet begun."""
        return self._lib.line_waiting(self._model)

    def read(self, seconds: float) -> bytes:
        """Let time pass until a frame has come, at most ``seconds``; returns the bytes that came."""
        cycles = max(int(seconds * self.clock_hz), 1)
        count = self._lib.line_run(self._model, cycles, self._out, ROOM, FLAG)
        return self._out.raw[:count] if count else b""

    def close(self):
        """End the simulation."""
        if self._model:
            self._lib.line_destroy(self._model)
            self._model = None


def simulated_chip(cfg: CoreConfig, mesh: MeshConfig, baud: int, clock_hz: int = CLOCK) -> SimulatedLine:
    """A :class:`LinkedChip` on a simulated line. Building takes a minute the first time."""
    # One copy of the code for all cores
    core = re.sub(r"^(module core *\(.*?\);)$", r"\1 /*verilator no_inline_module*/", core_verilog(cfg, mesh), count=1,
                  flags=re.MULTILINE | re.DOTALL) if mesh.cores > 1 else core_verilog(cfg, mesh)  # fmt: skip
    verilog = emit_linked_chip(cfg, mesh, clock_hz, baud, core)
    return SimulatedLine(verilog, "linked_chip", clock_hz, baud)
