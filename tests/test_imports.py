"""Imports go one way, along the way of the data: from hardware to description, compiler, chip, training and report."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Each may import itself and what stands before it
LAYERS = (
    "hw", "boards.devices", "snn", "sim", "host.compile", "host.mapping", "host.energy", "host.driver", "host.train",
    "host.report", "host.cli", "host.federated", "boards", "bench",
)  # fmt: skip
FOLDERS = ("hw", "snn", "sim", "host", "boards", "bench")
# Within hw: what software may know imports no unit
HARDWARE = ("hw.isa", "hw.errors", "hw.folders")


def layer(module: str) -> int:
    """The place in :data:`LAYERS` of a module, without ``trident.``; that of the longest name which it begins with."""
    found = [name for name in LAYERS if f"{module}.".startswith(f"{name}.")]
    assert found, f"{module} is in no layer"
    return LAYERS.index(max(found, key=len))


def imported(source: str) -> list[str]:
    """The modules that a source imports, absolute names."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where they point"
            deeper = {f"{node.module}.{alias.name}" for alias in node.names}
            packages = sorted(name for name in deeper if (ROOT / name.replace(".", "/")).is_dir())
            names += packages or [node.module]
    return names


def faults(module: str, source: str) -> list[str]:
    """What is wrong with the imports of a module, a sentence each."""
    found = []
    for name in imported(source):
        top, _, below = name.partition(".")
        if top in (*FOLDERS, "tests", "docs"):
            found.append(f"{module} imports {name}: write trident.{name}")
        elif top == "trident" and below:
            if layer(below) > layer(module):
                found.append(f"{module} imports {name}, which is above it")
            elif module.startswith("hw.isa.") and not below.startswith(HARDWARE):
                found.append(f"{module} imports {name}, but hw.isa knows no unit")
    return found


def modules() -> dict[str, Path]:
    """Every module of the folders, by its name without ``trident.``."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "__init__.py" and "app" not in path.parts
    }  # fmt: skip


def test_no_import_points_up():
    found = modules()
    assert len(found) > 200
    assert [fault for module, path in found.items() for fault in faults(module, path.read_text())] == []


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("hw.core.core", "from trident.host.driver.driver import Driver", "hw.core.core imports trident.host.driver."),
        ("snn.graph", "import trident.sim.twin", "which is above it"),
        ("host.driver.target", "from trident.boards.flow.flow import Flow", "which is above it"),
        ("host.train.spec", "def f():\n    from trident.host.cli.map import show", "which is above it"),
        ("sim.twin", "from hw.errors import TridentError", "write trident.hw.errors"),
        ("hw.isa.job", "from trident.hw.units.loss import LossUnit", "hw.isa knows no unit"),
        ("hw.isa.job", "from trident.hw import units", "hw.isa knows no unit"),
    ],
)
def test_wrong_imports_are_refused(module, source, fault):
    found = faults(module, source)
    assert len(found) == 1 and fault in found[0]


def test_right_imports_pass():
    assert faults("host.driver.target", "from trident.boards.devices import setup_of\nimport numpy as np") == []


def test_the_package_holds_the_folders():
    """``trident/hw`` is the folder ``hw``: editors and type checkers follow links."""
    for folder in FOLDERS:
        assert (ROOT / "trident" / folder).resolve() == ROOT / folder


def test_tests_share_nothing_of_tests_that_may_be_skipped():
    """Where a package is missing, the others would fail: pytest keeps what it has read of a skipped module."""
    sources = {path: path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))}
    skipped = {path.stem for path, source in sources.items() if re.search(r"^\w.*importorskip", source, re.MULTILINE)}
    tops = {
        path: re.findall(r"^(?:from|import) tests\S*\.(test_\w+)", source, re.MULTILINE)
        for path, source in sources.items()
    }
    assert skipped and any(tops.values())
    assert [(path.stem, name) for path, names in tops.items() for name in names if name in skipped] == []
