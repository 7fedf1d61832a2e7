"""The generated Verilog of a core or a chip, with a table of its parameters and of every module's ports."""

import re
from dataclasses import asdict
from pathlib import Path

from trident.hw.chip import emit_chip
from trident.hw.cores import make_core
from trident.hw.files import make_folder, write_whole
from trident.hw.generate import emit
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for

CORE, CHIP = "trident_core", "trident_chip"
_MODULE = re.compile(r"^module (\S+)\s?\((.*?)^endmodule\n", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"^  (input|output) (?:reg )?(?:\[(\d+):0\] )?(\S+) ?;$", re.MULTILINE)


def modules(verilog: str) -> dict[str, list[tuple[str, str, int]]]:
    """Per module, in the order of the text, its ports: name, direction and width in bits."""
    return {
        match.group(1).lstrip("\\"): [
            (port.group(3).lstrip("\\"), port.group(1), int(port.group(2) or 0) + 1)
            for port in _PORT.finditer(match.group(2))
        ]
        for match in _MODULE.finditer(verilog)
    }


def document(name: str, cfg: CoreConfig, mesh: MeshConfig, verilog: str) -> str:
    """Markdown: the parameters of the configuration called ``name``, and the modules with their ports."""
    units, top = modules(verilog), CORE if mesh.cores == 1 else CHIP
    what = "one core" if mesh.cores == 1 else f"{mesh.cores} cores on a {mesh.width}x{mesh.height} mesh"
    lines = [
        f"# {name}: {what} in Verilog",
        "",
        f"`{top}.v` holds {len(units)} modules, one for each hardware unit; the top is `{top}`.",
        "",
        "## Parameters",
        "",
        "| parameter | value |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in (asdict(cfg) | asdict(mesh)).items()),
        "",
        "## Modules",
    ]
    for module, ports in sorted(units.items(), key=lambda item: (item[0] != top, item[0])):
        lines += ["", f"### {module}", "", "| port | direction | bits |", "|---|---|---|"]
        lines += [f"| `{port}` | {direction} | {width} |" for port, direction, width in ports]
    return "\n".join(lines) + "\n"


def write_verilog(folder: Path, name: str, cfg: CoreConfig, mesh: MeshConfig | None = None) -> tuple[Path, Path, int]:
    """Write ``trident_core.v``, or on a mesh of several cores ``trident_chip.v``, and ``ports.md`` for a configuration
    into ``folder``; the same commit, the same bytes.

    Returns both paths and the number of modules. Raises :class:`TridentError` if the folder cannot be written.
    """
    mesh = mesh_for(cfg, mesh)
    top = CORE if mesh.cores == 1 else CHIP
    text = emit(make_core(cfg, mesh), top) if mesh.cores == 1 else emit_chip(cfg, mesh, top=top)
    design, table = folder / f"{top}.v", folder / "ports.md"
    make_folder(folder)
    write_whole(design, text)
    write_whole(table, document(name, cfg, mesh, text))
    return design, table, len(modules(text))
