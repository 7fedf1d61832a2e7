"""Simulated annealing by exchanges of two places."""

import numpy as np
from numba import njit

from trident.host.mapping.placers.problem import Problem, pair_change, tree_change, tree_hops

SAMPLES = 1000  # random exchanges that the first temperature is the mean change of


def anneal(problem: Problem, start: np.ndarray, moves: int, seed: int, heat: float, cold: float) -> np.ndarray:
    """The best solution that so many tried exchanges from ``start`` met, cooled from ``heat`` to ``cold`` times the
    mean change of a random exchange."""
    return _anneal(start.astype(np.int64), moves, seed, heat, cold, problem.near, problem.pairs, problem.trees)


@njit(cache=True)
def _anneal(places, moves, seed, heat, cold, near, pairs, trees):
    np.random.seed(seed)
    size, touch_first, touch = len(places), trees[4], trees[5]
    hops = np.array([tree_hops(tree, places, *trees) for tree in range(len(trees[0]))], np.int64)
    many = len(hops) > 0
    first, others = pairs[2], pairs[3]
    best, core_at = places.copy(), np.empty(size, np.int64)
    for core in range(size):
        core_at[places[core]] = core
    if size < 2:
        return best
    mean = 0.0
    for _ in range(SAMPLES):
        a, b = np.random.randint(size), np.random.randint(size)
        if a != b:
            change = pair_change(places, a, b, *pairs)
            if many:
                change += tree_change(places, a, b, hops, *trees)
            mean += abs(change) / SAMPLES
    if mean == 0:
        return best
    cost = lowest = 0.0  # above that of the start
    temperature = heat * mean
    for move in range(moves):
        if move % 64 == 0:
            temperature = mean * heat * (cold / heat) ** (move / moves)
        a, b = np.random.randint(size), np.random.randint(size)
        if move % 2 and first[a] < first[a + 1]:  # next to one that it exchanges flits with
            other = others[first[a] + np.random.randint(first[a + 1] - first[a])]
            b = core_at[near[places[other], np.random.randint(near.shape[1])]]
        if a == b:
            continue
        change = pair_change(places, a, b, *pairs)
        if many:
            change += tree_change(places, a, b, hops, *trees)
        if change <= 0 or np.random.random() < np.exp(-change / temperature):
            places[a], places[b] = places[b], places[a]
            core_at[places[a]], core_at[places[b]] = a, b
            cost += change
            if many:
                for core in (a, b):
                    for n in range(touch_first[core], touch_first[core + 1]):
                        hops[touch[n]] = tree_hops(touch[n], places, *trees)
            if cost < lowest - 1e-9:
                lowest = cost
                best[:] = places
    return best
