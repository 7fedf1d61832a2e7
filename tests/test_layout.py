"""The tree: every unit that computes has its golden twin and its test, under the same name."""

import ast
from pathlib import Path

import pytest

from tests.cocotb.harnesses import HARNESSES

ROOT = Path(__file__).resolve().parents[1]
# Of hw/arith and hw/engines: these arrange values or join the adder and the multiplier, they round nothing
WITHOUT_TWIN = {"compare", "mac", "pipeline", "receive"}
# Of sim/golden: the sequence of the units, which the whole core is compared with
WITHOUT_UNIT = {"trainer"}


def _names(folder: str, prefix: str = "") -> set[str]:
    files = (ROOT / folder).glob(f"{prefix}*.py")
    return {path.stem.removeprefix(prefix) for path in files if path.stem != "__init__"}


def test_every_engine_has_golden_test_and_bench():
    engines = _names("hw/engines")
    assert len(engines) >= 7
    assert engines - WITHOUT_TWIN <= _names("sim/golden")
    assert engines <= _names("tests/engines", "test_")
    assert set(HARNESSES) == engines


def test_every_arithmetic_unit_has_golden_and_test():
    units = _names("hw/arith") - WITHOUT_TWIN
    assert units >= {"add", "mul", "format"}
    assert units <= _names("sim/golden") and units <= _names("tests/arith", "test_")


def test_golden_has_nothing_that_hardware_has_not():
    units = _names("hw/engines") | _names("hw/arith")
    assert _names("sim/golden") - WITHOUT_UNIT == units - WITHOUT_TWIN


@pytest.mark.parametrize("name", sorted(_names("sim/golden") - WITHOUT_UNIT))
def test_golden_names_its_twin(name):
    folder = "engines" if name in HARNESSES else "arith"
    text = (ROOT / "sim/golden" / f"{name}.py").read_text()
    assert f"hw/{folder}/{name}.py" in text or name == "format"


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
