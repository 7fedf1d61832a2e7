"""The tree: every unit that computes has its golden model and its test, under the same name."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cocotb.harnesses import HARNESSES
from tests.conftest import matching, slow_patterns

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("hw/arith", "hw/engines", "hw/units")
# Of hw/arith and hw/units: these arrange values, or join others that have a golden model (align: those of sums and add)
WITHOUT_GOLDEN = {"align", "compare", "fire", "mac", "pipeline", "receive", "transfer"}
# Of hw/units: what they compute is a vector program of hw/isa
PROGRAMS = {"neuron": "hw/isa/neurons.py", "neuron_grad": "hw/isa/neurons.py", "update": "hw/isa/optimisers.py"}
# Of sim/golden: the number format, constants, parameters and traces of a run, the sequence of the units, their
# programs, passes and tables
WITHOUT_UNIT = {
    "constants", "engines", "format", "on_torch", "parameters", "passes", "planes", "tables", "trace", "trainer",
    "vector",
}  # fmt: skip


def _names(folder: str, prefix: str = "") -> set[str]:
    files = (ROOT / folder).glob(f"{prefix}*.py")
    return {path.stem.removeprefix(prefix) for path in files if path.stem != "__init__"}


@pytest.mark.parametrize("folder", ["engines", "units"])
def test_every_unit_has_golden_test_and_bench(folder):
    units = _names(f"hw/{folder}")
    assert len(units) >= 3
    assert units - WITHOUT_GOLDEN - set(PROGRAMS) <= _names("sim/golden")
    assert units <= _names(f"tests/hw/{folder}", "test_")
    assert units - {"transfer"} <= set(HARNESSES)


def test_every_arithmetic_unit_has_golden_and_test():
    units = _names("hw/arith") - WITHOUT_GOLDEN
    assert units >= {"add", "mul"}
    assert units <= _names("sim/golden") and units <= _names("tests/hw/arith", "test_")


def test_golden_has_nothing_that_hardware_has_not():
    units = {name for folder in FOLDERS for name in _names(folder)}
    assert _names("sim/golden") - WITHOUT_UNIT == units - WITHOUT_GOLDEN - set(PROGRAMS)
    assert set(HARNESSES) <= units


@pytest.mark.parametrize("name", sorted(_names("sim/golden") - WITHOUT_UNIT))
def test_golden_names_its_unit(name):
    text = (ROOT / "sim/golden" / f"{name}.py").read_text()
    assert any(f"{folder}/{name}.py" in text for folder in FOLDERS)


@pytest.mark.slow
def test_slow_list():
    """Every line of slow.txt names tests that there are."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(ROOT / "tests")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    tests = [line for line in done.stdout.splitlines() if "::" in line]
    assert len(tests) > 1500
    assert [pattern for pattern in slow_patterns() if not any(map(matching(pattern).match, tests))] == []


def _asserts(function: ast.AST, functions: dict[str, ast.AST], seen: frozenset = frozenset()) -> bool:
    """Whether a function asserts, expects an exception, or calls one of its file, or a helper so named, that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called.startswith(("assert", "check", "raises", "refus", "play")):
                return True
            if called in functions and called not in seen and _asserts(functions[called], functions, seen | {called}):
                return True
    return False


def test_every_test_asserts():
    checked = 0
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        nodes = ast.walk(ast.parse(path.read_text()))
        functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
        for name, function in functions.items():
            if name.startswith("test_"):
                assert _asserts(function, functions), f"{path.name}: {name} asserts nothing"
                checked += 1
    assert checked > 50
