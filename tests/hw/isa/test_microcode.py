"""What microcode says of a program: when results are there, what is kept, and which fields its numbers come in."""

from itertools import product

import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.charges import LEARNED
from trident.hw.isa.microcode import NUMBERS, UPDATE_NUMBERS, Microcode, number_fields
from trident.hw.isa.neurons import CHARGES, RESETS, SURROGATES, neuron_grad_program, neuron_program
from trident.hw.isa.optimisers import OPTIMISERS, optimiser
from trident.hw.isa.vector import Constant, Input, State
from trident.hw.isa.vector_program import Program

A, B, X = Constant("a"), Constant("b"), Input("x")


def code(value, **states) -> Microcode:
    return Microcode(Program("p", ("x",), {"y": value}, states))


def test_a_program_of_one_step_keeps_nothing():
    found = Microcode(neuron_program("hard"))
    assert (found.inputs, found.registers, found.bits) == ((), (), ())
    assert found.outputs == {"s": 0, "m": 0, "u": 0} and found.states == {"v": 0}


def test_a_soft_reset_keeps_the_potential_and_whether_it_fired():
    found = Microcode(neuron_program("soft"))
    assert found.registers == ((0,),) and [bit.limit.name for bit in found.bits] == ["threshold"]
    assert found.outputs == {"s": 0, "m": 0, "u": 0} and found.states == {"v": 1}


def test_inputs_that_later_steps_read_are_kept():
    assert [node.name for node in code((A * X + B) * X).inputs] == ["x"]
    assert code((A * X + B) * B).inputs == ()


def test_results_take_turns_in_a_register():
    first = A * X + B
    second = A * first + B
    assert code(A * second + B).registers == ((0, 1),)
    assert code(second * first).registers == ((0,), (1,))


def test_a_state_is_replaced_when_its_last_reader_has_it():
    """A result that is there after the first step, of a state that the second reads."""
    old = State("s")
    new = A * old + X
    assert code(old * new, s=new).states == {"s": 1}
    assert code(A * new, s=new).states == {"s": 0}


def test_a_state_that_another_state_takes_over():
    """b becomes a, which is replaced only then: both at once."""
    a, b = State("a"), State("b")
    new = A * a + X
    last = B * b + new
    found = Microcode(Program("p", ("x",), {"y": last}, {"a": new, "b": a}))
    assert found.states == {"a": 1, "b": 1}


def test_numbers_and_limits():
    found = Microcode(neuron_program("soft", "synaptic"))
    assert found.numbers == ("leak", "synapse", "threshold") and found.limits == ("high", "low", "threshold")
    assert Microcode(optimiser("sgd")).powers == {"scale"}


@pytest.mark.parametrize("charge, reset", [*product(CHARGES, RESETS)])
def test_numbers_fit_a_job(charge, reset):
    programs = [neuron_program(reset, charge)]
    programs += [neuron_grad_program(reset, name, charge, on) for name, on in product(SURROGATES, (True, False))]
    if charge not in LEARNED:
        programs.append(neuron_program(reset, charge, learned=True))
        programs.append(neuron_grad_program(reset, "triangle", charge, False, ("threshold", "penalty")))
    for program in programs:
        fields = number_fields(program)
        assert set(fields.values()) <= set(NUMBERS) and len(set(fields.values())) == len(fields)
        assert all(fields[name] == name for name in fields if name in NUMBERS)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_numbers_of_an_update_fit_its_job(name):
    program = optimiser(name)
    fields = number_fields(program, UPDATE_NUMBERS)
    assert set(fields.values()) <= {*UPDATE_NUMBERS, "exponent"} and len(set(fields.values())) == len(fields)
    assert {table.name for table in program.tables}.isdisjoint(fields)


def test_too_many_numbers():
    value = X
    for name in "abcdef":
        value = Constant(name) * value + X
    with pytest.raises(TridentError, match=r"the program p has 6 numbers, and a job takes 5: a, b, c, d, e, f"):
        number_fields(Program("p", ("x",), {"y": value}))
