"""The forward engine: its RTL against golden output by output, golden against sums of integers."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import CASES, PARAMETERS, joins, sides
from trident.sim.golden.forward import forward


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("forward", config, stalls) > 0


@pytest.mark.parametrize("kernel, stride, padding", CASES)
def test_golden_of_integers(kernel, stride, padding):
    """Small integers are summed without rounding, so the order does not matter."""
    rng = np.random.default_rng(kernel)
    inside, outside = sides(kernel, stride, padding)
    spikes = rng.integers(0, 2, (*inside, 3, 2)).astype(np.uint8)
    weights = rng.integers(-3, 4, (kernel * kernel, 2, 5)).astype(np.float32)
    biases = rng.integers(-3, 4, 5).astype(np.float32)
    x = np.empty((*outside, 3, 5), np.float32)
    assert not forward(spikes, weights, biases, True, kernel, stride, padding, x, PARAMETERS)
    expected = np.broadcast_to(biases, x.shape).copy()
    for tap, at, to in joins(kernel, stride, padding):
        expected[to] += spikes[at] @ weights[tap]
    assert (x == expected).all()


def test_golden_order():
    """Ascending channel, bias last: 2048 + 1 + 1 loses both ones in FP16, 1 + 1 + 2048 loses none."""
    spikes = np.ones((1, 1, 1, 3), np.uint8)
    for values, bias, total in (([2048, 1, 1], 0, 2048), ([1, 1, 2048], 0, 2050), ([1, 0, 2048], 1, 2048)):
        x = np.empty((1, 1, 1, 1), np.float32)
        weights = np.array(values, np.float32).reshape(1, 3, 1)
        forward(spikes, weights, np.array([bias], np.float32), True, 1, 1, 0, x, PARAMETERS)
        assert x[0, 0, 0, 0] == total
