"""The backward engine: its RTL against golden output by output, golden against products pixel by pixel."""

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from tests.hw.engines.windows import CASES, SUMS, joins, sides
from trident.hw.isa.format import FP16
from trident.sim.golden.backward import backward
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.mul import mul
from trident.snn.network.kernel import PIXEL


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("backward", config, stalls) > 0


@pytest.mark.parametrize("subnormals", [False, True])
@pytest.mark.parametrize("kernel", CASES)
def test_golden_pixel_by_pixel(kernel, subnormals):
    """Every product is rounded as the multiplier rounds it, and nothing else."""
    rng = np.random.default_rng(kernel.taps)
    inside, outside = sides(kernel)
    errors = rng.normal(size=(2, *outside, 3, 5)) * rng.choice([1, 0, 2.0**-13], (2, *outside, 3, 5))
    weights = rng.normal(size=(kernel.taps, 2, 5)) * rng.choice([1, 0, 2.0**-13], (kernel.taps, 2, 5))
    errors, weights = (values.astype(np.float16).astype(np.float32) for values in (errors, weights))
    columns = np.ascontiguousarray(weights.transpose(0, 2, 1))
    exact, fault = backward(errors, columns, kernel, inside, subnormals, 999, SUMS)
    expected = np.zeros((2, *inside, 3, 2))
    for n in range(2):
        for tap, at, to in joins(kernel):
            pairs = to_bits(errors[n][to][:, :, None], FP16), to_bits(columns[tap], FP16)
            expected[n][at] += to_values(mul(*pairs, FP16, subnormals), FP16).sum(axis=1)
    assert (exact == expected).all() and not fault.any()


@pytest.mark.parametrize("error, weight, fault", [
    (np.inf, 1.0, True), (np.inf, 0.0, False), (0.0, np.nan, False), (2.0, np.nan, True), (256.0, 256.0, True),
    (256.0, 64.0, True), (64.0, 64.0, False), (np.inf, 2.0**-24, True),
])  # fmt: skip
def test_golden_leaves_out_what_is_too_large(error, weight, fault):
    """A product from 2**14 on is too large for 200 of them; a zero adds nothing to anything."""
    errors = np.array([error, 1.0], np.float32).reshape(1, 1, 1, 1, 2)
    columns = np.array([weight, 0.5], np.float32).reshape(1, 2, 1)
    exact, told = backward(errors, columns, PIXEL, (1, 1), False, 200, SUMS)
    product = 0 if fault or not (error and weight) else error * weight
    assert exact.ravel().tolist() == [product + 0.5] and told.tolist() == [fault]
