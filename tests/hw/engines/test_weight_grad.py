"""The weight-gradient engine: its RTL against golden on the gradient memory, golden against sums of integers."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import CASES, PARAMETERS, joins, sides
from trident.sim.golden.weight_grad import weight_grad


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("weight_grad", config, stalls) > 0


@pytest.mark.parametrize("kernel, stride, padding", CASES)
def test_golden_of_integers(kernel, stride, padding):
    """Small integers are summed without rounding, so the order does not matter."""
    rng = np.random.default_rng(kernel)
    inside, outside = sides(kernel, stride, padding)
    spikes = rng.integers(0, 2, (*inside, 3, 2)).astype(np.uint8)
    errors = rng.integers(-2, 3, (*outside, 3, 5)).astype(np.float32)
    gradients = rng.integers(-9, 10, (kernel * kernel, 2, 5)).astype(np.float32)
    biases = np.zeros(5, np.float32)
    expected = gradients.copy()
    for tap, at, to in joins(kernel, stride, padding):
        expected[tap] += spikes[at].T.astype(np.float32) @ errors[to]
    assert not weight_grad(spikes, errors, gradients, biases, True, kernel, stride, padding, PARAMETERS)
    assert (gradients == expected).all()
    assert (biases == errors.sum(axis=(0, 1, 2))).all()
