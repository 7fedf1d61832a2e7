"""Golden vector programs: where nothing is rounded they are the float model; tables; what is kept of a kernel."""

from itertools import product

import numpy as np
import pytest

from trident.hw.isa.config import PRESETS
from trident.hw.isa.fixed import EXACT_BITS, FixedFormat
from trident.hw.isa.format import FloatFormat
from trident.hw.isa.losses import EXPONENTIAL
from trident.hw.isa.neurons import ALPHAS, CHARGES, RESETS, SURROGATES, neuron_grad_program, neuron_program
from trident.hw.isa.optimisers import RECIPROCAL, SQRT
from trident.hw.isa.tables import PIECE_BITS
from trident.sim.golden.format import to_bits, to_values
from trident.sim.golden.sums import Sums
from trident.sim.golden.tables import table_errors, table_values
from trident.sim.golden.vector import kernel, run_program, source

CFG = PRESETS["SMALL"]
FMT: FloatFormat = CFG.format
SUMS = Sums(FMT, CFG.fixed)
WIDE = Sums(FloatFormat(5, 20), FixedFormat(EXACT_BITS, -34))  # in which two timesteps need no rounding
CONSTANTS = {
    "leak": 0.5, "threshold": 0.5, "low": -0.25, "high": 1.25, "slope": -0.5, "gain": 0.5, "synapse": 0.5,
    "zero": 0.0, "one": 1.0,
}  # fmt: skip
SHAPE = (3, 2, 40)  # positions, T, neurons


def golden(program, arrays: dict[str, np.ndarray], outputs: dict[str, type]) -> dict[str, np.ndarray]:
    """The outputs of a program on arrays (positions, T, neurons)."""
    results = {name: np.empty(SHAPE, kind) for name, kind in outputs.items()}
    fault = run_program(program, WIDE, True, CONSTANTS, *(arrays[name] for name in program.inputs), *results.values())
    assert not fault.any()
    return results


def exact(program, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """As :func:`golden`, in float64."""
    inputs = {
        name: (array != 0 if array.dtype == np.uint8 else array.astype(np.float64)).swapaxes(0, 1)
        for name, array in arrays.items() if name in program.inputs
    }  # fmt: skip
    return {name: found.swapaxes(0, 1) for name, found in program.run(CONSTANTS, **inputs).items()}


PROGRAMS = [*product(CHARGES, RESETS, ["triangle"], [False]), *product(["lif"], RESETS, ["rectangle"], [True])]


@pytest.mark.parametrize("charge, reset, surrogate, detached", PROGRAMS)
def test_without_rounding_it_is_the_float_model(charge, reset, surrogate, detached):
    rng = np.random.default_rng(len(charge) + len(reset))
    arrays = {name: rng.integers(-4, 5, SHAPE).astype(WIDE.dtype) / 4 for name in "xe"}
    arrays["leak"] = np.broadcast_to(rng.choice([0.5, 1.0], SHAPE[-1]), SHAPE).astype(WIDE.dtype)
    forward, backward = neuron_program(reset, charge), neuron_grad_program(reset, surrogate, charge, detached)
    found = golden(forward, arrays, {"s": np.uint8, "m": np.uint8, "u": WIDE.dtype})
    expected = exact(forward, arrays)
    assert all((found[name] == expected[name]).all() for name in found)
    assert 0 < found["s"].mean() < 1
    made = golden(backward, arrays | found, dict.fromkeys(backward.outputs, WIDE.dtype))
    expected = exact(backward, arrays | found)
    assert all((made[name] == expected[name]).all() and made[name].any() for name in made)


def test_an_infinite_step_is_a_fault():
    big = np.full((1, 1, 2), [65504, 1], SUMS.dtype)
    results = [np.empty(big.shape, np.uint8), np.empty(big.shape, np.uint8), np.empty_like(big)]
    constants = {name: SUMS.dtype(value) for name, value in CONSTANTS.items()}
    first = run_program(neuron_program("none", "if"), SUMS, True, constants, big, *results)
    assert not first.any()
    twice = np.repeat(big, 2, axis=1)
    results = [np.repeat(array, 2, axis=1) for array in results]
    fault = run_program(neuron_program("none", "if"), SUMS, True, constants, twice, *results)
    assert fault.tolist() == [[True, False]]


TABLES = [*ALPHAS.items(), ("atan", 8.0), ("sigmoid", 1.0), ("fast-sigmoid", 1.0), ("fast-sigmoid", 100.0)]


@pytest.mark.parametrize("name, alpha", TABLES)
def test_tables(name, alpha):
    """A multiplier without subnormals takes those of x for 0: the surrogate's slope times the largest of them more."""
    (table,) = neuron_grad_program("hard", name).tables

    def function(x):
        return table.function(np, x, {"alpha": alpha})

    errors = table_errors(function, SUMS, subnormals=True)
    assert errors.max() < 1.5 and errors.mean() < 0.5
    least, peak = float(to_values(FMT.min_normal, FMT)), float(function(np.zeros(1))[0])
    lost = (peak - float(function(np.full(1, least))[0])) / peak
    assert table_errors(function, SUMS, subnormals=False).max() < 1.5 + lost * 2 ** (FMT.frac + 1)


def test_the_table_of_what_is_too_large():
    table = table_values(lambda x: 1 / (1 + x), FMT)
    assert table.shape[0] == (FMT.inf >> FMT.frac - PIECE_BITS) + (1 << PIECE_BITS)
    assert table[-1].tolist() == [0, to_values(to_bits(1 / 65505, FMT), FMT), 0]
    slope, base, scale = table[0]
    assert (slope * 2.0**scale, base) == (-1, 1)


def test_the_table_of_the_softmax():
    """In last places of 1, which the exponential of 0 is."""
    errors = table_errors(lambda x: EXPONENTIAL.function(np, x, {}), SUMS, subnormals=False)
    assert errors.max() < 1 and errors[0] == 0


@pytest.mark.parametrize("table, worst", [(RECIPROCAL, 4.1), (SQRT, 1.3)])
def test_tables_of_optimisers(table, worst):
    """Their relative error, in last places of the function's value, at every normal number whose value is one; a
    product that is half as large must be one as well."""
    x = to_values(np.arange(FMT.min_normal, FMT.inf), FMT)
    exact = table.function(np, x, {})
    usable = (exact >= 2.0**-13) & (exact < 65504)
    errors = table_errors(lambda x: table.function(np, x, {}), SUMS, False, relative=True)[FMT.min_normal:][usable]
    assert errors.max() < worst


def test_a_kernel_is_compiled_once():
    program = neuron_program("hard")
    assert kernel(program) is kernel(program) is kernel(neuron_program("hard"))
    assert source(program).count("add_value(mul_value(") == len(program.steps)


@pytest.mark.parametrize("name", sorted(set(SURROGATES) - {"rectangle"}))
def test_a_surrogate_is_highest_at_the_threshold(name):
    program = neuron_grad_program("none", name, "if")
    u = np.linspace(-2, 3, 101)
    inputs = {"e": np.ones((1, 101)), "s": np.zeros((1, 101), bool), "m": np.zeros((1, 101), bool), "u": u[None]}
    h = program.run(CONSTANTS | {"alpha": 2.0}, **inputs)["dx"][0]
    assert h.argmax() == 50 and (np.diff(h[:51]) >= 0).all() and (np.diff(h[50:]) <= 0).all()
