"""Standardised weights of which some are pruned: against PyTorch's differentiation, and what golden leaves of them."""

from dataclasses import replace

import numpy as np
import pytest

from trident.hw.isa.config import CoreConfig
from trident.sim.float_standard import FloatStandardiser
from trident.sim.golden.constants import UpdateConstants
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.standardise import Standardiser
from trident.snn.network.network import Network
from trident.snn.network.norms import with_norm
from trident.snn.train_settings import TrainSettings

BOUND = 1e-9


def layer_of(text: str = "5x5x3-7c3-4"):
    return with_norm(Network.parse(text), "ws:0.001").layers[0]


def raw_weights(layer, rng) -> np.ndarray:
    """A third of them 0."""
    return rng.normal(0.2, 0.6, layer.weight_shape) * (rng.random(layer.weight_shape) < 2 / 3)


def test_gradients_are_those_of_autograd():
    """Of z, which is 0 where w is, with that as a mask that stays."""
    torch = pytest.importorskip("torch")
    layer, rng = layer_of(), np.random.default_rng(3)
    raw, error = raw_weights(layer, rng), rng.normal(size=layer.weight_shape)
    standard = FloatStandardiser(layer, pruned=True)
    w = torch.tensor(raw, requires_grad=True)
    flat = w.reshape(-1, raw.shape[-1])
    spread = torch.sqrt(len(flat) * flat.var(0, unbiased=True) + layer.epsilon)
    z = torch.where(flat != 0, (flat - flat.mean(0)) / spread, 0).reshape(raw.shape)
    z.backward(torch.tensor(error))
    found = standard.weights(raw)
    assert np.abs(found - z.detach().numpy()).max() <= BOUND and (found[raw == 0] == 0).all() and (raw == 0).any()
    wanted = w.grad.numpy()
    assert np.abs(standard.gradient(raw, found, error) - wanted).max() <= BOUND * np.abs(wanted).max() > 0
    assert wanted[raw == 0].any()  # so a weight that is 0 may come back
    plain = FloatStandardiser(layer)
    assert plain.weights(raw)[raw == 0].any()


@pytest.mark.parametrize("optimiser", ["sgd-prune", "adamw-decay-prune"])
def test_golden_standardises_what_is_left(optimiser):
    """After an update, z is 0 just where w is, which is so for many."""
    cfg = CoreConfig(standardise=True, optimiser=optimiser)
    layer, rng = layer_of(), np.random.default_rng(4)
    standard, dtype = Standardiser(layer, cfg), np.float32
    raw = to_values(to_bits(raw_weights(layer, rng), cfg.format), cfg.format).astype(dtype)
    z, fault = standard.weights(raw)
    assert not fault.any() and ((z == 0) == (raw == 0)).all()
    settings = TrainSettings(prune=0.25, optimizer="sgd" if optimiser.startswith("sgd") else "adamw",
                             weight_decay=0.0 if optimiser.startswith("sgd") else 0.01)  # fmt: skip
    assert settings.optimiser == optimiser
    constants = UpdateConstants.round(settings.numbers(0.5, 256, 1), 16, cfg.format)
    numbers = constants.values(cfg.update_program, cfg.format)
    kept = {name: np.zeros_like(raw) for name in ("v", "r")[: 1 + settings.adaptive]}
    gradients = (rng.normal(size=raw.shape) * 64).astype(dtype)
    fault = standard.update(raw, z, kept, to_values(to_bits(gradients, cfg.format), cfg.format).astype(dtype), numbers)
    assert not fault.any() and ((z == 0) == (raw == 0)).all() and 0 < (raw == 0).sum() < raw.size
    assert replace(cfg, optimiser="sgd").passes != cfg.passes
