"""The weight-gradient engine: its RTL against golden on the gradient memory, golden against sums of integers."""

import numpy as np
import pytest

from hw.arith.format import FP16
from sim.golden.format import fmt_parameters
from sim.golden.weight_grad import weight_grad
from tests.cocotb.units import BENCHES, check_unit


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("weight_grad", config, stalls) > 0


CASES = [(1, 1, 0), (3, 1, 1), (3, 2, 0), (4, 2, 3), (7, 1, 6)]  # kernel, stride, padding
PARAMETERS = fmt_parameters(FP16)


def _sides(kernel, stride, padding):
    in_y, in_x = 5, 4
    out_y, out_x = ((n + 2 * padding - kernel) // stride + 1 for n in (in_y, in_x))
    return (in_y, in_x), (out_y, out_x)


def _joins(kernel, stride, padding):
    """Every (tap, input pixel, output pixel) that a weight joins."""
    (in_y, in_x), out = _sides(kernel, stride, padding)
    for ky, kx, oy, ox in np.ndindex(kernel, kernel, *out):
        y, x = oy * stride + ky - padding, ox * stride + kx - padding
        if 0 <= y < in_y and 0 <= x < in_x:
            yield ky * kernel + kx, (y, x), (oy, ox)


@pytest.mark.parametrize("kernel, stride, padding", CASES)
def test_golden_of_integers(kernel, stride, padding):
    """Small integers are summed without rounding, so the order does not matter."""
    rng = np.random.default_rng(kernel)
    inside, outside = _sides(kernel, stride, padding)
    spikes = rng.integers(0, 2, (*inside, 3, 2)).astype(np.uint8)
    errors = rng.integers(-2, 3, (*outside, 3, 5)).astype(np.float32)
    gradients = rng.integers(-9, 10, (kernel * kernel, 2, 5)).astype(np.float32)
    biases = np.zeros(5, np.float32)
    expected = gradients.copy()
    for tap, at, to in _joins(kernel, stride, padding):
        expected[tap] += spikes[at].T.astype(np.float32) @ errors[to]
    assert not weight_grad(spikes, errors, gradients, biases, True, kernel, stride, padding, PARAMETERS)
    assert (gradients == expected).all()
    assert (biases == errors.sum(axis=(0, 1, 2))).all()
