"""Optimisers: the float model's steps are PyTorch's, golden's those of the float model but for rounding."""

import numpy as np
import pytest

from tests.cocotb.placing import OPTIMISED
from trident.hw.isa.config import PRESETS
from trident.hw.isa.optimisers import optimiser
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.sums import Sums
from trident.sim.golden.vector import run_program
from trident.snn.train_settings import TrainSettings

SAMPLES, SCALE, RATE = 16, 256.0, 0.01
CFG = PRESETS["SMALL"]


def _gradients(steps: int, largest: float = -1, size: int = 200) -> np.ndarray:
    """Of many magnitudes, up to a power of ten, mean over the minibatch; Adam's squares of all of them fit FP16."""
    rng = np.random.default_rng(7)
    signs = rng.choice([-1, 1], (steps, size))
    return signs * rng.uniform(0.5, 1.5, (steps, size)) * 10.0 ** rng.uniform(-4, largest, size)


def _settings(name: str, **changes) -> TrainSettings:
    return TrainSettings(batch=SAMPLES, learning_rate=RATE, **(OPTIMISED[name] | changes))


def _run(name: str, weights: np.ndarray, gradients: np.ndarray, settings: TrainSettings) -> np.ndarray:
    """The float model."""
    program = optimiser(name)
    kept = {short: np.zeros((1, weights.size)) for short in program.inputs if short not in "gw"}
    kept["w"] = weights[None]
    for number, gradient in enumerate(gradients, 1):
        numbers = settings.numbers(RATE, SCALE, number)
        kept = program.run(numbers, g=gradient[None] * SCALE * SAMPLES, **kept)
    return kept["w"][0]


def _torch(torch, name: str, parameter, settings: TrainSettings):
    kind = torch.optim.SGD if settings.optimizer == "sgd" else torch.optim.Adam
    options: dict = {"lr": RATE, "weight_decay": settings.weight_decay}
    if settings.optimizer == "sgd":
        options |= {"momentum": settings.momentum, "nesterov": settings.nesterov}
    else:
        options |= {"betas": (settings.momentum, settings.beta2), "eps": settings.epsilon}
        kind = torch.optim.AdamW if settings.optimizer == "adamw" else kind
    return kind([parameter], **options)


@pytest.mark.oracle
@pytest.mark.parametrize("name", OPTIMISED)
def test_steps_are_pytorchs(name):
    torch = pytest.importorskip("torch", reason="the oracle extra is not installed")
    settings, gradients = _settings(name), _gradients(20)
    assert settings.optimiser == name
    weights = np.random.default_rng(8).normal(size=gradients.shape[1])
    weights[:20] *= 0.001
    gradients[:, :20] *= 1e-6
    parameter = torch.nn.Parameter(torch.tensor(weights))
    theirs = _torch(torch, name, parameter, settings)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        theirs.step()
        if settings.prune:
            parameter.data = torch.nn.functional.softshrink(parameter.data, RATE * settings.prune)
    found = _run(name, weights, gradients, settings)
    wanted = parameter.detach().numpy()
    moved = np.abs(wanted - weights).max()
    assert np.abs(found - wanted).max() <= 1e-9 * moved
    assert ((found == 0) == (wanted == 0)).all() and (found == 0).any() == bool(settings.prune)


@pytest.mark.parametrize("name", OPTIMISED)
def test_golden_is_near_the_float_model(name):
    """A step is off by a last place of the weight, what a multiplier flushes to zero, below 2**-14, and a share of what
    it moves: ten roundings and tables of 1 to 4 last places, 2**-10 each."""
    settings, gradients = _settings(name), _gradients(6, -2)
    sums, program = Sums(CFG.format, CFG.fixed), optimiser(name)
    weights = np.random.default_rng(8).normal(size=gradients.shape[1])
    golden = {short: np.zeros((1, weights.size, 1), sums.dtype) for short in program.inputs if short not in "gw"}
    golden["w"] = to_values(to_bits(weights, CFG.format), CFG.format).astype(sums.dtype).reshape(1, -1, 1)
    start = golden["w"].ravel().astype(float)
    for number, gradient in enumerate(gradients, 1):
        constants = UpdateConstants.round(settings.numbers(RATE, SCALE, number), SAMPLES, CFG.format)
        g = to_values(to_bits(gradient * SCALE * SAMPLES, CFG.format), CFG.format).astype(sums.dtype).reshape(1, -1, 1)
        fault = run_program(
            program, sums, False, constants.values(program, CFG.format), g, *golden.values(), *golden.values()
        )
        assert not fault.any()
    wanted = _run(name, start, gradients, settings)
    moved = np.abs(wanted - start)
    last_place = 2.0 ** (np.floor(np.log2(np.maximum(np.maximum(np.abs(wanted), np.abs(start)), 2.0**-14))) - CFG.frac)
    off = np.abs(golden["w"].ravel() - wanted)
    assert (off <= len(gradients) * (last_place + 2.0**-14) + 0.02 * moved).all()


def test_a_soft_threshold_rounds_once():
    """Towards 0 by 2**-4 exactly, and 0 from there on, of both signs; a bias, with a threshold of 0, stays."""
    program, sums = optimiser("sgd-prune"), Sums(CFG.format, CFG.fixed)
    w = np.array([0.5, -0.5, 0.0625, -0.0625, 0.03125, 0.0, 0.0625 + 2.0**-14, 1024.0], np.float32).reshape(1, -1, 1)
    ends = {}
    for prune in (0.0625, 0.0):
        numbers = {"momentum": np.float32(0), "minus_rate": np.float32(-1), "scale": 0, "prune": np.float32(prune)}
        kept = np.zeros_like(w), w.copy()
        assert not run_program(program, sums, False, numbers, np.zeros_like(w), *kept, *kept).any()
        ends[prune] = kept[1].ravel().tolist()
    assert ends[0.0625] == [0.4375, -0.4375, 0, 0, 0, 0, 2.0**-14, 1024]
    assert ends[0.0] == w.ravel().tolist()
