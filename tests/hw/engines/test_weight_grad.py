"""The weight-gradient engine: its RTL against golden on the gradient memory, golden against sums of integers."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import CASES, SUMS, joins, sides
from trident.sim.golden.weight_grad import weight_grad
from trident.snn.network.kernel import PIXEL


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("weight_grad", config, stalls) > 0


@pytest.mark.parametrize("kernel", CASES)
def test_golden_pixel_by_pixel(kernel):
    rng = np.random.default_rng(kernel.taps)
    inside, outside = sides(kernel)
    spikes = rng.integers(0, 2, (2, *inside, 3, 2)).astype(np.uint8)
    errors = rng.normal(size=(2, *outside, 3, 5)).astype(np.float16).astype(np.float32)
    expected = np.zeros((kernel.taps, 2, 5))
    for n in range(2):
        for tap, at, to in joins(kernel):
            expected[tap] += spikes[n][at].T.astype(float) @ errors[n][to].astype(float)
    gradients, biases, fault = weight_grad(spikes, errors, True, kernel, 100, SUMS)
    assert (gradients == expected).all() and not fault.any()
    assert (biases == errors.astype(float).sum(axis=(0, 1, 2, 3))).all()


def test_golden_leaves_out_what_is_too_large():
    """An infinite error is a fault of its channel where an input spikes, and else nothing."""
    errors = np.array([[1, np.inf], [np.inf, 2], [4, 8]], np.float32).reshape(1, 1, 1, 3, 2)
    for spikes, expected, faults in (([1, 0, 1], [5, 8], [False, True]), ([1, 1, 1], [5, 10], [True, True])):
        spikes = np.array(spikes, np.uint8).reshape(1, 1, 1, 3, 1)
        gradients, _, fault = weight_grad(spikes, errors, False, PIXEL, 3, SUMS)
        assert gradients.ravel().tolist() == expected and fault.tolist() == faults
