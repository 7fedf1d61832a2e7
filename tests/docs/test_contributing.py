"""The worked examples of CONTRIBUTING.md, run as they stand there."""

import re
from pathlib import Path

import pytest

import trident.hw.engines
import trident.hw.isa.registry
import trident.sim.golden
from trident.hw.isa import neurons
from trident.hw.isa.registry import PLACES, EngineEntry, register
from trident.snn import settings

PAGE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
STEP = re.compile(r"^### \d\. .*?`(\S+\.py)`\n(.*?)```python\n(.*?)```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The code blocks by file name, with the modules importable and the engine registered."""
    blocks = {name: code for name, _, code in STEP.findall(PAGE.read_text())}
    files = {"hw/engines/sign_backward.py": trident.hw.engines, "sim/golden/sign_backward.py": trident.sim.golden}
    for name, package in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(blocks[name])
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(path.parent)])
    monkeypatch.setitem(trident.hw.isa.registry.PLACES, "backward", dict(PLACES["backward"]))
    entries = eval(f"{{{blocks['hw/isa/registry.py']}}}", {"EngineEntry": EngineEntry})
    for name, entry in entries.items():
        register("backward", name, entry)
    return blocks


def test_example_trains_as_golden(example):
    assert set(example) == {
        "hw/engines/sign_backward.py",
        "sim/golden/sign_backward.py",
        "hw/isa/registry.py",
        "tests/hw/engines/test_sign_backward.py",
    }
    space = {}
    exec(compile(example["tests/hw/engines/test_sign_backward.py"], "test_sign_backward.py", "exec"), space)
    tests = [value for name, value in space.items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()


@pytest.mark.oracle
@pytest.mark.parametrize("reset", ["hard", "none"])
def test_a_neuron_is_added(reset, monkeypatch):
    """Its backward pass is the derivative of its forward pass."""
    pytest.importorskip("torch", reason="the oracle extra is not installed")
    from tests.sim.test_neurons import test_own_forward_pass

    (code,) = re.findall(r"^## Add a neuron\n.*?```python\n(.*?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.setattr(neurons, "CHARGES", dict(neurons.CHARGES))
    exec(code, dict(vars(neurons)))
    monkeypatch.setattr(settings, "NEURONS", (*settings.NEURONS, "rectified"))
    test_own_forward_pass("rectified", reset, "atan", True)
    assert neurons.neuron_program(reset, "rectified").formula()[0] == "u = leak · max(0, v) + x"
