"""The backward engine: its RTL against golden output by output, golden against sums of integers."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import CASES, PARAMETERS, joins, sides
from trident.sim.golden.backward import backward


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("backward", config, stalls) > 0


@pytest.mark.parametrize("kernel, stride, padding", CASES)
def test_golden_of_integers(kernel, stride, padding):
    """Small integers are summed without rounding, so the order does not matter."""
    rng = np.random.default_rng(kernel)
    inside, outside = sides(kernel, stride, padding)
    errors = rng.integers(-2, 3, (*outside, 3, 5)).astype(np.float32)
    weights = rng.integers(-3, 4, (kernel * kernel, 2, 5)).astype(np.float32)
    columns = np.ascontiguousarray(weights.transpose(0, 2, 1))
    e = np.empty((*inside, 3, 2), np.float32)
    assert not backward(errors, columns, kernel, stride, padding, e, False, PARAMETERS)
    expected = np.zeros_like(e)
    for tap, at, to in joins(kernel, stride, padding):
        expected[at] += errors[to] @ columns[tap]
    assert (e == expected).all()
