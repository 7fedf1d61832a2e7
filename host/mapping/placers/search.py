"""Annealing and tabu search in rounds, within a budget of time."""

import numpy as np

from trident.host.mapping.placers.anneal import anneal
from trident.host.mapping.placers.learned import Weights, learned
from trident.host.mapping.placers.orders import spectral
from trident.host.mapping.placers.problem import Problem
from trident.host.mapping.placers.tabu import tabu

ROUNDS = 16  # at the most, each from another start
MOVES = 100  # of annealing in a round, per pair of places, at least: rather fewer rounds
TABU_SIZE = 100  # places up to which tabu search is worth its time in both
# Temperatures, first and last: of a good start, of a random one, of one before tabu search
WARM, HOT, QUICK = (0.05, 0.005), (0.25, 0.02), (0.25, 0.05)


def annealed(problem: Problem, rng: np.random.Generator, budget: float) -> np.ndarray:
    """Annealing alone, first from the spectral order."""
    return _rounds(problem, rng, budget, 1)


def tabu_searched(problem: Problem, rng: np.random.Generator, budget: float) -> np.ndarray:
    """Robust tabu search alone, first from the spectral order."""
    return _rounds(problem, rng, budget, 0)


def both(problem: Problem, rng: np.random.Generator, budget: float) -> np.ndarray:
    """Short annealings, each with tabu search behind it; on meshes of more than :data:`TABU_SIZE` places annealing
    alone."""
    return _rounds(problem, rng, budget, 0.5 if problem.size <= TABU_SIZE else 1)


def refined(problem: Problem, rng: np.random.Generator, budget: float, weights: Weights | None = None) -> np.ndarray:
    """What the learned placer says, then annealing from there, colder than from a random start."""
    moves = int(budget / move_seconds(problem))
    return anneal(problem, learned(problem, weights), moves, int(rng.integers(2**31)), *WARM)


def move_seconds(problem: Problem) -> float:
    """About what a tried exchange of annealing takes on the computer that the figures of the docs are of.

    A budget becomes a number of steps by such constants, not by a clock: the same seed gives the same placement.
    """
    flows, trees = len(problem.others) / problem.size, len(problem.touch) / problem.size
    return (60 + problem.size / 20 + 5 * flows + 115 * trees) * 1e-9


def iteration_seconds(problem: Problem) -> float:
    """The same of an iteration of tabu search."""
    size = problem.size
    return (40 * size + size**2 + 50 * size * len(problem.touch)) * 1e-9


def _rounds(problem: Problem, rng: np.random.Generator, budget: float, annealing: float) -> np.ndarray:
    """The best of several rounds, in which annealing takes this share of the time."""
    moves = int(budget * annealing / move_seconds(problem))
    iterations = int(budget * (1 - annealing) / iteration_seconds(problem))
    rounds = min(ROUNDS, max(1, moves // (MOVES * problem.size**2))) if annealing == 1 else ROUNDS
    found = []
    for number in range(rounds):
        places, heat = rng.permutation(problem.size), HOT if annealing == 1 else QUICK
        if number == 0:
            places, heat = spectral(problem), WARM
        if annealing > 0:
            places = anneal(problem, places, moves // rounds, int(rng.integers(2**31)), *heat)
        if annealing < 1:
            places = tabu(problem, places, iterations // rounds, int(rng.integers(2**31)))
        found.append(places)
    return min(found, key=problem.cost)
