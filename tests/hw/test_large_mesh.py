"""A chip of 16x16 cores: its Verilog is generated, and Verilator finds nothing wrong with it."""

import os
import re
import subprocess

import pytest

from trident.hw.chip import emit_chip
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.sim.rtl.build import TOOL

MODULE = re.compile(r"^module (\S+?) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)


def without_body(module: str) -> str:
    """A module of the same ports in which nothing is."""
    head, _, rest = module.partition(";\n")
    ports = "".join(line + "\n" for line in rest.splitlines() if re.match(r"  (input|output) ", line))
    return f"{head};\n{ports}endmodule\n"


def lint(folder, top: str, text: str):
    (folder / f"{top}.v").write_text(text)
    command = [str(TOOL), "--lint-only", "-Wno-lint", "-Wno-style", "-Wno-UNOPTFLAT", "--top-module", top, f"{top}.v"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                            env={**os.environ, "VERILATOR_ROOT": str(TOOL.parents[1])})  # fmt: skip
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_16x16_cores_are_generated_and_linted(tmp_path):
    """The core, the router, and the chip around them: Verilator would else copy both 256 times."""
    cfg = CoreConfig.preset("TINY")
    text = emit_chip(cfg, mesh_for(cfg, MeshConfig(width=16, height=16)))
    found = {match.group(1): match.group(0) for match in MODULE.finditer(text)}
    assert len(re.findall(r"^  core core\d+ ", found["chip"], re.MULTILINE)) == 256
    lint(tmp_path, "core", text)
    lint(tmp_path, "router", text)
    inner = {"core", "router"}
    outside = [own for name, own in found.items() if not name.startswith(("core_", "router_"))
               and name not in inner]  # fmt: skip
    lint(tmp_path, "chip", "".join([*outside, *(without_body(found[name]) for name in sorted(inner))]))


def test_what_a_large_mesh_needs():
    cfg = CoreConfig.preset("TINY")
    assert mesh_for(cfg, MeshConfig(width=9, height=1)).flit == 64
    assert mesh_for(cfg, MeshConfig(width=8, height=8)).flit == 32
    for mesh, sentence in (
        (MeshConfig(width=9, height=2), "a mesh of 9x2 needs flits of at least 64 bits"),
        (MeshConfig(width=9, height=2, flit=64, phit=32), "flits of at least 64 bits that a link carries at once"),
        (MeshConfig(width=17, height=2, flit=64), "a mesh of 17x2 is for forecasts: hardware is generated for up to"),
    ):
        with pytest.raises(TridentError, match=sentence):
            emit_chip(cfg, mesh)
