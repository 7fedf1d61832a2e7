"""Vector programs: how formulas become steps and text, and what does not fit."""

from itertools import product

import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.charges import LEARNED
from trident.hw.isa.neurons import CHARGES, RESETS, SURROGATES, neuron_grad_program, neuron_program
from trident.hw.isa.optimisers import optimiser
from trident.hw.isa.vector import Constant, Input, positive, where
from trident.hw.isa.vector_program import STEPS, Program

A, B, X = Constant("a"), Constant("b"), Input("x")


def lines(value) -> list[str]:
    return Program("p", ("x",), {"y": value}).formula()


@pytest.mark.parametrize("value, steps, text", [
    (A * X, 1, "y = a · x"),
    (A * X + B, 1, "y = a · x + b"),
    (B + A * X, 1, "y = a · x + b"),
    (B - A * X, 1, "y = −a · x + b"),
    (X + B, 1, "y = x + b"),
    (X - 1, 1, "y = x − 1"),
    (A * X + B * X, 2, "y = a · x + b · x"),
    ((X + A) * B, 2, "y = (x + a) · b"),
    ((A * X).times_power(B) + X, 1, "y = a · x · 2^b + x"),
    (positive(A * abs(X) + 1) * B, 2, "y = max(0, a · |x| + 1) · b"),
    (A * where(X >= B, 0, X) + X, 1, "y = a · (0 if x ≥ b else x) + x"),
    (where((X > A) & ~(X < B), X, 0) * A, 1, "y = (x if x > a and not x < b else 0) · a"),
])  # fmt: skip
def test_formulas(value, steps, text):
    program = Program("p", ("x",), {"y": value})
    assert (len(program.steps), program.formula()) == (steps, [text])


def test_the_first_of_two_products_is_fused():
    first, second = Program("p", ("x",), {"y": A * X + B * X}).steps
    assert (first.a, second.a) == (B, A)


def test_what_is_read_twice_has_a_name():
    assert lines((r := A * X + B) * r) == ["r1 = a · x + b", "y = r1 · r1"]


def test_a_program_that_is_too_long():
    value = X
    for _ in range(STEPS):
        value = value * A + B
    assert len(Program("p", ("x",), {"y": value}).steps) == STEPS
    value = value * A + B
    with pytest.raises(TridentError, match=rf"program p has {STEPS + 1} steps, .* takes {STEPS}: .* is .* · a \+ b"):
        Program("p", ("x",), {"y": value})


def test_formulas_of_the_units():
    assert neuron_program("hard").formula() == [
        "u = leak · v + x", "s = u ≥ threshold", "m = u > low and u < high", "v ← (0 if s else u)"
    ]  # fmt: skip
    assert neuron_grad_program("hard", "rectangle").formula() == [
        "dx = leak · (0 if s else d) + (e if m else 0)", "d ← dx"
    ]  # fmt: skip
    assert optimiser("sgd").formula() == ["v = momentum · v + g", "w = minus_rate · v · 2^scale + w"]
    # As the units' own registers do it today: two passes of a soft reset, four of a triangle
    assert [len(neuron_program(reset).steps) for reset in ("hard", "soft")] == [1, 2]
    assert [len(neuron_grad_program("hard", name).steps) for name in ("rectangle", "triangle")] == [1, 4]


@pytest.mark.parametrize("charge, reset, surrogate, detached", [*product(CHARGES, RESETS, SURROGATES, [True, False])])
def test_every_neuron_fits(charge, reset, surrogate, detached):
    programs = neuron_program(reset, charge), neuron_grad_program(reset, surrogate, charge, detached)
    assert all(0 < len(program.steps) <= STEPS for program in programs)
    if charge not in LEARNED:
        own = neuron_grad_program(reset, surrogate, charge, detached, ("threshold", "penalty", "still"))
        assert len(own.steps) <= STEPS and own.outputs.keys() == {"dx", "g"} and "threshold" not in own.constants
    assert programs[1].outputs.keys() == {"dx"} | ({"g"} if charge in LEARNED else set()) and programs[1].descending
