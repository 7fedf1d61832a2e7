"""Whole training steps of the float model against PyTorch: some of the combinations that the benchmark goes through."""

from itertools import islice

import pytest

from trident.bench.training.gradients import BOUND, combinations, error_of

ALL = list(combinations())
SOME = list(islice(ALL, 0, None, 173))  # coprime to the number of every part: all values of each


@pytest.mark.oracle
@pytest.mark.parametrize("neuron, settings, readout", SOME, ids=[str(n) for n in range(len(SOME))])
def test_a_step_is_pytorchs(neuron, settings, readout):
    torch = pytest.importorskip("torch", reason="the oracle extra is not installed")
    assert error_of(torch, neuron, settings, readout) <= BOUND


def test_some_have_all_values_of_each_part():
    for name in ("reset", "surrogate", "detach", "neuron", "decay_input"):
        assert {getattr(neuron, name) for neuron, *_ in SOME} == {getattr(neuron, name) for neuron, *_ in ALL}
    for name in ("loss", "optimizer", "nesterov", "weight_decay"):
        assert {getattr(parts[1], name) for parts in SOME} == {getattr(parts[1], name) for parts in ALL}
    assert {parts[2] for parts in SOME} == {parts[2] for parts in ALL}
    assert len(ALL) == 18816
