"""Scales of the loss and of Adam's moments: what is halved after which overflow, and that it is enough."""

import numpy as np
import pytest

from trident.host.train.scaler import LossScaler
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.optimisers import optimiser
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.sums import Sums
from trident.sim.golden.vector import run_program
from trident.snn.train_settings import FOLLOWED, SCALED, TrainSettings

RATE = 0.01
FORMATS = {"fp16": {}, "bf16": {"exp": 8, "frac": 7}}
OFF = 16 * 2.0**-10  # of a step: the tables of root and reciprocal, of squares that may be near the least normal number


class Parameters:
    """Parameters that Adam changes in golden, an update undone where it overflows, from given gradients."""

    def __init__(self, core: dict, **settings):
        self.cfg = CoreConfig.preset("SMALL", optimiser="adam", **core)
        self.settings = TrainSettings(optimizer="adam", learning_rate=RATE, beta2=0.97, **settings)
        self.sums, self.scaler = Sums(self.cfg.format, self.cfg.fixed), LossScaler.of(self.settings)
        self.kept: dict[str, np.ndarray] = {}

    def step(self, gradients: np.ndarray) -> bool:
        """One update, from what the gradient memory holds; whether it was carried out."""
        fmt, program = self.cfg.format, optimiser("adam")
        g = to_values(to_bits(gradients, fmt), fmt).astype(self.sums.dtype).reshape(1, -1, 1)
        if not self.kept:
            self.kept = {name: np.zeros_like(g) for name in "vrw"}
        numbers = self.scaler.constants(self.settings, RATE, fmt).values(program, fmt)
        new = {name: values.copy() for name, values in self.kept.items()}
        fault = run_program(program, self.sums, False, numbers, g, *new.values(), *new.values()).any()
        if not fault:
            self.kept = new
        self.scaler.after(bool(fault), moments=True)
        return not fault


def test_moments_have_a_scale_of_their_own():
    """A gradient halves the loss scale and leaves Adam's moments as they are; moments halve theirs alone."""
    scaler = LossScaler.of(TrainSettings(optimizer="adam"))
    scaler.after(True)
    assert scaler == LossScaler(128.0, skipped=1, power=SCALED)
    scaler.after(True, moments=True)
    assert scaler == LossScaler(128.0, carry=0.5, skipped=2, power=SCALED - 1)
    scaler.after(False)
    assert scaler == LossScaler(128.0, skipped=2, updates=1, power=SCALED - 1)
    plain = LossScaler.of(TrainSettings())
    plain.after(True, moments=True)
    assert plain == LossScaler(128.0, carry=0.5, skipped=1)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("loss_scale, batch", [(1, 1), (256, 16), (2**15, 64)])
def test_no_gradient_of_the_format_is_too_large(name, loss_scale, batch):
    """Any gradient is applied after some halvings, and its step is a learning rate, as Adam's first one always is."""
    found = Parameters(FORMATS[name], loss_scale=loss_scale, batch=batch)
    fmt = found.cfg.format
    largest = float(to_values(fmt.inf - 1, fmt))
    gradients = largest * np.array([1, -1, 0.5, -(2.0**-4)])
    while not found.step(gradients):
        pass
    assert found.scaler.scale == loss_scale and found.scaler.updates == 1
    np.testing.assert_allclose(found.kept["w"].ravel(), -RATE * np.sign(gradients), rtol=OFF)
    done = [found.step(gradients) for _ in range(200)]
    assert all(done[-50:]) and done.count(False) < 6


@pytest.mark.parametrize("loss_scale", [1, 256, 2**15])
def test_squares_of_small_gradients_are_kept(loss_scale):
    """Of mean gradients from 1e-5 on, at every loss scale: the step is a learning rate."""
    found = Parameters({}, loss_scale=loss_scale, epsilon=1e-7)
    means = np.array([1e-5, 1e-4, 1e-3, 1e-2])
    if loss_scale == 1:  # whose least gradients the format itself has no room for
        means = means[1:]
    assert found.step(means * loss_scale * found.settings.batch)
    assert (found.kept["r"] > 0).all() and found.scaler.power == SCALED
    np.testing.assert_allclose(found.kept["w"].ravel(), -RATE, rtol=OFF)


def test_no_step_is_longer_where_squares_vanish():
    """After large gradients, squares of small ones are zero: epsilon grows from some power on."""
    found = Parameters({})
    means = np.array([4.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5])
    while not found.step(means * 256 * 16):
        pass
    assert found.scaler.power < SCALED - 4
    before = found.kept["w"].ravel()
    assert (found.kept["r"].ravel()[-2:] == 0).all() and before[-2] != 0
    assert (np.abs(before) <= 2**FOLLOWED * RATE).all() and np.abs(before[:-3]).max() <= 1.02 * RATE


def test_an_epsilon_never_becomes_too_small():
    found = Parameters({}, epsilon=3e-8)
    fmt = found.cfg.format
    found.scaler.constants(found.settings, RATE, fmt)
    found.scaler.power = SCALED - FOLLOWED
    assert found.scaler.constants(found.settings, RATE, fmt).numbers["epsilon"] == fmt.min_normal


def test_weights_that_overflow_end_the_run():
    scaler, settings = LossScaler.of(TrainSettings(optimizer="adam")), TrainSettings(optimizer="adam")
    fmt, tried = CoreConfig.preset("SMALL").format, 0
    with pytest.raises(TridentError, match="updates overflow, however small the moments of Adam: lower the learning"):
        while True:
            scaler.constants(settings, RATE, fmt)
            scaler.after(True, moments=True)
            tried += 1
    assert scaler.scale == 256 and tried < 30
