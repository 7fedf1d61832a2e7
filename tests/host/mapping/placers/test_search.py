"""Annealing and tabu search find what is known to be the best, and stay within their budget's steps."""

from itertools import pairwise, permutations

import numpy as np
import pytest

from trident.host.mapping.placers import search
from trident.host.mapping.placers.anneal import anneal
from trident.host.mapping.placers.orders import hilbert, spectral, zigzag
from trident.host.mapping.placers.problem import Problem
from trident.host.mapping.placers.tabu import tabu
from trident.host.mapping.traffic import Flow, Traffic
from trident.hw.noc.topology import HOST

RING = Traffic(16, tuple(Flow(7 * n % 16, frozenset({7 * (n + 1) % 16}), 3.0, "spikes") for n in range(16)))


def mixed(cores: int, seed: int) -> Problem:
    """Flows between two, trees and the host on a mesh of 3 x 2."""
    rng = np.random.default_rng(seed)
    flows = [Flow(int(a), frozenset({int(b)}), float(rng.integers(1, 9)), "errors")
             for a, b in rng.integers(0, cores, (8, 2)) if a != b]  # fmt: skip
    flows += [Flow(n, frozenset({(n + 1) % cores, (n + 3) % cores}), 4.0, "spikes") for n in range(3)]
    flows += [Flow(HOST, frozenset({0, 2}), 2.0, "spikes"), Flow(1, frozenset({HOST}), 2.0, "tokens")]
    return Problem.of(Traffic(cores, tuple(flows)), 3, 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", ["anneal", "tabu"])
def test_a_small_mesh_is_solved(method, seed):
    problem = mixed(5, seed)
    best = min(problem.cost(np.array(places)) for places in permutations(range(6)))
    start = np.arange(6)
    places = anneal(problem, start, 20000, seed, 0.25, 0.02) if method == "anneal" else tabu(problem, start, 300, seed)
    assert sorted(places) == list(range(6)) and problem.cost(places) == pytest.approx(best)
    assert start.tolist() == list(range(6))


@pytest.mark.parametrize("find", [search.annealed, search.tabu_searched, search.both])
def test_a_ring_closes_on_a_square(find):
    problem = Problem.of(RING, 4, 4)
    assert problem.cost(find(problem, np.random.default_rng(1), 0.05)) == 16 * 3


@pytest.mark.parametrize("find", [search.annealed, search.tabu_searched, search.both, search.refined])
def test_a_large_mesh_without_traffic(find):
    problem = Problem.of(Traffic(3, ()), 12, 12)
    assert sorted(find(problem, np.random.default_rng(0), 0.01)) == list(range(144))


def test_a_larger_budget_is_more_steps_and_no_clock_is_asked(monkeypatch):
    steps = []
    monkeypatch.setattr(search, "anneal", lambda problem, start, moves, *rest: steps.append(moves) or start)
    monkeypatch.setattr(search, "tabu", lambda problem, start, moves, seed: steps.append(-moves) or start)
    problem = mixed(6, 0)
    for budget in (0.01, 0.01, 0.1):
        search.both(problem, np.random.default_rng(0), budget)
    parts = np.array(steps).reshape(3, search.ROUNDS, 2)
    assert (parts[0] == parts[1]).all() and (parts > 0).tolist()[0][0] == [True, False]
    assert abs(parts[2]).sum() == pytest.approx(10 * abs(parts[0]).sum(), rel=0.02)


def test_curves_go_from_neighbour_to_neighbour():
    for order in (zigzag, hilbert):
        problem = Problem.of(Traffic(1, ()), 8, 8)
        places = order(problem)
        assert sorted(places) == list(range(64)) and places[0] == 0
        y, x = np.divmod(places, 8)
        assert (abs(np.diff(x)) + abs(np.diff(y)) == 1).all()


@pytest.mark.parametrize("width, height", [(1, 1), (2, 1), (1, 5), (5, 4), (3, 7), (8, 8)])
def test_orders_are_permutations_of_any_mesh(width, height):
    size = width * height
    flows = Traffic(size, tuple(Flow(n, frozenset({n + 1}), 1.0, "spikes") for n in range(0, size - 1, 2)))
    problem = Problem.of(flows, width, height)
    for order in (zigzag, hilbert, spectral):
        assert sorted(order(problem)) == list(range(size))


def test_the_spectral_order_keeps_a_shuffled_chain_together():
    names = np.random.default_rng(0).permutation(100)
    chain = Traffic(100, tuple(Flow(int(a), frozenset({int(b)}), 1.0, "spikes") for a, b in pairwise(names)))
    problem = Problem.of(chain, 10, 10)
    assert problem.cost(spectral(problem)) <= 1.5 * 99 < problem.cost(zigzag(problem)) / 3
