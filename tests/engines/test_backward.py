"""The backward engine: its RTL against golden output by output, golden against sums of integers."""

import numpy as np
import pytest

from hw.arith.format import FP16
from sim.golden.backward import backward
from sim.golden.format import fmt_parameters
from tests.cocotb.units import BENCHES, check_unit


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("backward", config, stalls) > 0


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
    errors = rng.integers(-2, 3, (*outside, 3, 5)).astype(np.float32)
    weights = rng.integers(-3, 4, (kernel * kernel, 2, 5)).astype(np.float32)
    columns = np.ascontiguousarray(weights.transpose(0, 2, 1))
    e = np.empty((*inside, 3, 2), np.float32)
    assert not backward(errors, columns, kernel, stride, padding, e, False, PARAMETERS)
    expected = np.zeros_like(e)
    for tap, at, to in _joins(kernel, stride, padding):
        expected[at] += errors[to] @ columns[tap]
    assert (e == expected).all()
