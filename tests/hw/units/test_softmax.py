"""The loss unit of a softmax: its RTL against golden output by output, golden against the softmax."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.loss import loss_table
from trident.sim.golden.softmax import softmax_errors
from trident.snn.losses import SOFTMAX, Loss


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("softmax", config, stalls) > 0


@pytest.mark.parametrize("name", SOFTMAX)
def test_golden_is_the_derivative_of_the_cross_entropy(name):
    """Within the reciprocal's four last places, the roundings of a share, a sum and an error, and what is flushed."""
    cfg, scale, loss = CoreConfig(loss="softmax"), 64.0, Loss(name, 0.05, 0.85)
    rng = np.random.default_rng(5)
    spikes = (rng.random((20, 2, 1, cfg.timesteps, 5)) < rng.random((20, 2, 1, 1, 5))).astype(np.uint8)
    labels = rng.integers(0, 10, 20)
    table = loss_table(cfg.timesteps, 10, scale, cfg.format, loss)
    errors, fault = softmax_errors(spikes, labels, table, cfg)
    wanted = scale * loss.errors(spikes.sum(axis=3).reshape(20, 10), labels, cfg.timesteps)
    assert not fault.any() and (errors == errors[:, :, :, :1]).all()
    off = np.abs(errors[:, :, 0, 0].reshape(20, 10) - wanted)
    assert off.max() <= 8 * 2.0**-10 * loss.per_spike(cfg.timesteps) * scale
