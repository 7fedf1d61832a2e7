"""The loss unit of a softmax: its RTL against golden output by output, golden against the softmax."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.hw.isa.config import CoreConfig
from trident.sim.golden.loss import loss_table
from trident.sim.golden.softmax import softmax_errors
from trident.snn.losses import OF_READOUTS, SOFTMAX, Loss


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("softmax", config, stalls) > 0


@pytest.mark.parametrize("name", [*SOFTMAX, *OF_READOUTS])
@pytest.mark.parametrize("weights", [(), (0.3, 1.0, 0.0, 2.5, 1.0, 1.0, 0.7, 3.0, 1.0, 1.0)], ids=["", "weighted"])
def test_golden_is_the_derivative_of_the_cross_entropy(name, weights):
    """Within what the tables of the exponential and the reciprocal are off, the roundings of a share, a sum and an
    error, and what is flushed."""
    scale, loss, rng = 64.0, Loss(name, 0.05, 0.85, weights), np.random.default_rng(5)
    cfg = CoreConfig(loss=loss.unit)
    outputs = rng.integers(0, cfg.timesteps + 1, (20, 10))
    if name in OF_READOUTS:
        outputs = rng.normal(0, 3, (20, 10)).astype(np.float16).astype(np.float64)
    labels = rng.integers(0, 10, 20)
    table = loss_table(cfg.timesteps, 10, scale, cfg.format, loss)
    errors, fault = softmax_errors(outputs, labels, table, cfg)
    wanted = scale * loss.errors(outputs, labels, cfg.timesteps)
    assert not fault.any()
    largest = np.reshape(weights or (1.0,) * 10, (-1, 1))[labels] * loss.per_spike(cfg.timesteps) * scale
    assert (np.abs(errors - wanted) <= 8 * 2.0**-10 * largest).all()
