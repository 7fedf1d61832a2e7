"""Layers spread over cores: exact on what can be cut at will, and never a granule lost."""

import numpy as np
import pytest

from trident.host.mapping.balance.demand import Demand
from trident.host.mapping.balance.spread import spread
from trident.hw.errors import TridentError


def demand(granules: int, work: float, bits: float, fixed_work: float = 0.0, fixed_bits: float = 0.0) -> Demand:
    """One of so much work and so many bits in all, of which every engine has half but the second."""
    shares = np.arange(granules + 1) / granules
    cycles = np.outer(work * shares + fixed_work, [0.5, 1.0, 0.5])
    loads = np.column_stack([cycles, bits * shares + fixed_bits])
    loads[0] = 0
    return Demand(loads)


def whole(found):
    return all(sum(of.values()) == asked.granules and min(of.values()) > 0
               for asked, of in zip(found.demands, found.pieces, strict=True))  # fmt: skip


def test_work_and_storage_of_different_layers_come_out_even():
    """A layer that is all work and one that is all memory, as the convolutions and the first linear layer of VGG."""
    found = spread([demand(6400, 100, 1), demand(6400, 1, 100), demand(6400, 20, 20)], 64)
    assert whole(found)
    assert found.work_balance < 1.02 and found.storage_balance < 1.02 and found.copies == pytest.approx(1)
    assert found.work.sum() == pytest.approx(121) and found.bits.sum() == pytest.approx(121)


def test_without_storage_only_work_comes_out_even():
    found = spread([demand(6400, 100, 1), demand(6400, 1, 100)], 16, storage=False)
    assert whole(found) and found.work_balance < 1.02 and found.storage_balance > 5


@pytest.mark.parametrize("seed", range(6))
def test_any_demands_are_spread_whole(seed):
    rng = np.random.default_rng(seed)
    asked = [
        demand(int(rng.integers(1, 300)), *rng.random(2), *(0.02 * rng.random(2))) for _ in range(rng.integers(1, 40))
    ]
    granules = sum(one.granules for one in asked)
    for cores in {1, 2, 17, min(64, granules)} - {n for n in (1, 2, 17) if n > granules}:
        found = spread(asked, cores)
        assert whole(found) and len(found.loads) == cores
        assert found.pieces == spread(asked, cores).pieces
        if cores == 1:
            assert found.worst == found.copies == 1


def test_fixed_parts_are_copies():
    """Two pieces of a layer, each with the 10 bits that any has."""
    found = spread([demand(2, 4, 20, fixed_bits=10)], 2)
    assert found.pieces == ({0: 1, 1: 1},) and found.bits == pytest.approx([20, 20]) and found.copies == 40 / 30


def test_uneven_cuts_make_up_for_what_cannot_be_cut():
    """A layer in one piece on one of three cores; the other layer goes round it."""
    found = spread([demand(1, 2, 2), demand(40, 4, 4)], 3)
    assert found.worst < 1.01 and sorted(found.pieces[1].values()) == [20, 20]


def test_hundreds_of_layers_are_even():
    rng = np.random.default_rng(0)
    found = spread([demand(32, *rng.random(2), 0.001, 0.001) for _ in range(300)], 64)
    assert whole(found) and found.worst < 1.1


def test_layers_without_work_or_memory():
    assert whole(spread([demand(4, 0, 0), demand(4, 1, 1), demand(4, 0, 1), demand(4, 1, 0)], 4))


def test_refuses_more_cores_than_pieces():
    with pytest.raises(TridentError, match="5 cores are more than the 4 pieces that all layers can be cut into"):
        spread([demand(4, 1, 1)], 5)
