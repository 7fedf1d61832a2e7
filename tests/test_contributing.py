"""The worked example of CONTRIBUTING.md, run as it stands there."""

import re
from pathlib import Path

import pytest

import hw.engines
import hw.registry
import sim.golden
from hw.registry import PLACES, EngineEntry, register

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
STEP = re.compile(r"^### \d\. .*?`(\S+\.py)`\n(.*?)```python\n(.*?)```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The code blocks by file name, with the modules importable and the engine registered."""
    blocks = {name: code for name, _, code in STEP.findall(PAGE.read_text())}
    for name, package in (("hw/engines/sign_backward.py", hw.engines), ("sim/golden/sign_backward.py", sim.golden)):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(blocks[name])
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(path.parent)])
    monkeypatch.setitem(hw.registry.PLACES, "backward", dict(PLACES["backward"]))
    entries = eval(f"{{{blocks['hw/registry.py']}}}", {"EngineEntry": EngineEntry})
    for name, entry in entries.items():
        register("backward", name, entry)
    return blocks


def test_example_trains_as_golden(example):
    assert set(example) == {
        "hw/engines/sign_backward.py",
        "sim/golden/sign_backward.py",
        "hw/registry.py",
        "tests/engines/test_sign_backward.py",
    }
    space = {}
    exec(compile(example["tests/engines/test_sign_backward.py"], "test_sign_backward.py", "exec"), space)
    tests = [value for name, value in space.items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()
