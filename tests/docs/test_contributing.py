"""The worked examples of CONTRIBUTING.md, run as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest

import trident.hw.engines
import trident.hw.isa.registry
import trident.sim.golden
from tests.snn import test_losses
from trident.host.train.step_bench import StepBench
from trident.hw.isa import charges, limits, neurons, optimisers
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.format import FP16
from trident.hw.isa.registry import PLACES, EngineEntry, register
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import to_bits
from trident.sim.golden.loss import loss_table
from trident.sim.rtl.verilated import VerilatedChip
from trident.snn import losses, neuron_settings, train_settings
from trident.snn.network.network import Network

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
    exec(code, vars(charges) | {"CHARGES": neurons.CHARGES})
    monkeypatch.setattr(neuron_settings, "NEURONS", (*neuron_settings.NEURONS, "rectified"))
    test_own_forward_pass("rectified", reset, "atan", True, "none")
    assert neurons.neuron_program(reset, "rectified").formula()[0] == "u = leak · max(0, v) + x"


def _code(title: str) -> str:
    (code,) = re.findall(rf"^## {title}\n.*?```python\n(.*?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return code


def test_an_optimiser_is_added(monkeypatch):
    """A core with it updates as golden."""
    monkeypatch.setattr(optimisers, "OPTIMISERS", dict(optimisers.OPTIMISERS))
    exec(_code("Add an optimiser"), vars(optimisers) | {"OPTIMISERS": optimisers.OPTIMISERS})
    monkeypatch.setattr(train_settings, "OPTIMIZERS", (*train_settings.OPTIMIZERS, "damped"))
    monkeypatch.setitem(limits.DECLARED, "optimiser", optimisers.OPTIMISERS)
    optimisers.optimiser.cache_clear()
    train = train_settings.TrainSettings(timesteps=4, batch=3, optimizer="damped")
    cfg = CoreConfig.preset("TINY", **train.core)
    assert cfg.update_program.formula()[0] == "v = momentum · v + gain · g"
    network, rng = Network.parse("6-5-3"), np.random.default_rng(0)
    chip = VerilatedChip(cfg)
    bench = StepBench(network, neuron_settings.NeuronSettings(), cfg, chip)
    for update in (1, 2):
        spikes = (rng.random((3, cfg.timesteps, *network.in_shape)) < 0.5).astype(np.uint8)
        constants = UpdateConstants.round(train.numbers(0.5, 256, update), 3, cfg.format)
        mismatch, _ = bench.step(spikes, np.array([0, 2, 1]), constants, loss_scale=256)
        assert mismatch is None, str(mismatch)
    chip.close()
    assert any(values.any() for values in bench.golden.bits(Space.MOMENTUM).values())


def test_a_loss_is_added(monkeypatch):
    """Its errors are its derivatives, and a table."""
    monkeypatch.setattr(losses, "PER_CLASS", dict(losses.PER_CLASS))
    exec(_code("Add a loss"), vars(losses) | {"PER_CLASS": losses.PER_CLASS})
    monkeypatch.setattr(train_settings, "PER_CLASS", losses.PER_CLASS)
    test_losses.test_errors_are_derivatives(losses.Loss("log-cosh"))
    loss = train_settings.TrainSettings(timesteps=4, loss="log-cosh").losses(3)
    assert (loss_table(4, 3, 1.0, FP16, loss)[0, 0] == to_bits(np.tanh(np.arange(5) / 4) / 12, FP16)).all()
