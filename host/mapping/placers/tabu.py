"""Robust tabu search: the best exchange of two places that is not forbidden, even where it makes things worse."""

import numpy as np
from numba import njit

from trident.host.mapping.placers.problem import Problem, tree_change, tree_hops

TENURE = 0.9, 0.2  # iterations for which a core may not return to a place, per core: at least, and drawn on top


def tabu(problem: Problem, start: np.ndarray, iterations: int, seed: int) -> np.ndarray:
    """The best solution within so many exchanges from ``start``.

    After the exchange of r and s, what another one of i and j changes has changed by (u[i] - u[j]) (v[i] - v[j]), u the
    difference of the flows of r and s, v that of the distances to their new places; so an iteration takes O(size^2).
    What it changes of multicasts is counted anew.
    """
    return _tabu(start.astype(np.int64), iterations, seed, problem.flows, problem.pairs, problem.trees)


@njit(cache=True)
def _changes(core, places, flows, distance, home, host, out):
    """What exchanges of ``core`` with every other one change of pairs. distance: of the cores' places."""
    for j in range(len(out)):
        out[j] = (host[core] - host[j]) * (home[places[j]] - home[places[core]]) + flows[core, j] * distance[core, j]
    for k in range(len(out)):
        if k != core:
            flow, far, others, places_of = flows[core, k], distance[core, k], flows[k], distance[k]
            for j in range(len(out)):
                out[j] += (flow - others[j]) * (places_of[j] - far)
    out[core] = np.inf


@njit(cache=True)
def _tabu(places, iterations, seed, flows, pairs, trees):
    np.random.seed(seed)
    size, home, host, touch_first, touch = len(places), pairs[1], pairs[5], trees[4], trees[5]
    distance = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            distance[i, j] = pairs[0][places[i], places[j]]
    hops = np.array([tree_hops(tree, places, *trees) for tree in range(len(trees[0]))], np.int64)
    best, cost, lowest = places.copy(), 0.0, 0.0
    changes = np.empty((size, size))  # of pairs
    for i in range(size):
        _changes(i, places, flows, distance, home, host, changes[i])
    shared = np.zeros((size, size))  # of multicasts, above the diagonal
    free = np.zeros((size, size), np.int64)  # from when on core i may come to a place again
    u, v = np.zeros(size), np.zeros(size)
    for now in range(1, iterations + 1):
        for i in range(size if len(hops) else 0):
            for j in range(i + 1, size):
                shared[i, j] = tree_change(places, i, j, hops, *trees)
        r, s, value = -1, -1, np.inf
        for i in range(size):
            row, more = changes[i], shared[i]
            for j in range(i + 1, size):
                change = row[j] + more[j]
                if change < value and (
                    free[i, places[j]] < now or free[j, places[i]] < now or cost + change < lowest - 1e-9
                ):
                    r, s, value = i, j, change
        if r < 0:
            continue
        free[r, places[r]] = now + int(size * (TENURE[0] + TENURE[1] * np.random.random())) + np.random.randint(3)
        free[s, places[s]] = now + int(size * (TENURE[0] + TENURE[1] * np.random.random())) + np.random.randint(3)
        for i in range(size):
            u[i] = flows[r, i] - flows[s, i]
            v[i] = distance[r, i] - distance[s, i]
        places[r], places[s] = places[s], places[r]
        cost += value
        for i in range(size):
            if i != r and i != s:
                distance[r, i], distance[s, i] = distance[s, i], distance[r, i]
                distance[i, r], distance[i, s] = distance[r, i], distance[s, i]
        for i in range(size):
            row, u_i, v_i = changes[i], u[i], v[i]
            for j in range(size):
                row[j] += (u_i - u[j]) * (v_i - v[j])
        for core in (r, s):
            _changes(core, places, flows, distance, home, host, changes[core])
            changes[:, core] = changes[core]
            for n in range(touch_first[core], touch_first[core + 1]):
                hops[touch[n]] = tree_hops(touch[n], places, *trees)
        if cost < lowest - 1e-9:
            lowest = cost
            best[:] = places
    return best
