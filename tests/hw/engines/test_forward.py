"""The forward engine: its RTL against golden output by output, golden against sums of integers."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import CASES, SUMS, joins, sides
from trident.sim.golden.forward import forward
from trident.snn.network.kernel import PIXEL


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("forward", config, stalls) > 0


@pytest.mark.parametrize("kernel", CASES)
def test_golden_pixel_by_pixel(kernel):
    """Sums in float64, which holds them exactly, rounded by NumPy."""
    rng = np.random.default_rng(kernel.taps)
    inside, outside = sides(kernel)
    spikes = rng.integers(0, 2, (2, *inside, 3, 2)).astype(np.uint8)
    weights = rng.normal(size=(kernel.taps, 2, 5)).astype(np.float16).astype(np.float32)
    biases = rng.normal(size=5).astype(np.float16).astype(np.float32)
    x, fault = SUMS.rounded(*forward(spikes, weights, biases, True, kernel, 99, SUMS))
    expected = np.zeros((2, *outside, 3, 5)) + biases
    for n in range(2):
        for tap, at, to in joins(kernel):
            expected[n][to] += spikes[n][at] @ weights[tap].astype(float)
    assert (x == expected.astype(np.float16)).all() and not fault.any()


def test_golden_has_no_order():
    """2048 + 1 + 1 is 2050 in any order: nothing is rounded before the end."""
    for values, bias in (([2048, 1, 1], 0), ([1, 1, 2048], 0), ([1, 0, 2048], 1)):
        weights = np.array(values, np.float32).reshape(1, 3, 1)
        spikes = np.ones((1, 1, 1, 1, 3), np.uint8)
        x, _ = forward(spikes, weights, np.array([bias], np.float32), True, PIXEL, 4, SUMS)
        assert x.ravel() == 2050


@pytest.mark.parametrize("weight, terms, fault", [
    (np.inf, 2, True), (np.nan, 2, True), (65504.0, 64, False), (65504.0, 65, True), (32767.0, 65, False),
])  # fmt: skip
def test_golden_leaves_out_what_is_too_large(weight, terms, fault):
    """By its exponent and the terms that a sum may have: it is a fault where it is added."""
    weights = np.array([[[weight, 1.0], [1.0, 1.0]]], np.float32)
    both = 1 if fault else np.float16(weight + 1)
    for fired, x, faults in (([1, 1], both, [fault, False]), ([0, 1], 1, [False] * 2)):
        spikes = np.array(fired, np.uint8).reshape(1, 1, 1, 1, 2)
        found, told = SUMS.rounded(*forward(spikes, weights, np.zeros(2, np.float32), False, PIXEL, terms, SUMS))
        assert found.ravel()[0] == x and told.tolist() == [faults]
