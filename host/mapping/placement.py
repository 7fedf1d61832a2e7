"""Which mesh core each logical core sits on: placers by name, and the objective that they are compared by."""

import re
from collections.abc import Callable

import numpy as np
from numba import njit
from scipy.optimize import quadratic_assignment

from trident.host.compile.placement import Placement, check_placement
from trident.host.mapping.traffic import Load, Traffic, load
from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import HOST

Objective = Callable[[Load], float]

RESTARTS, MOVES = 4, 4000  # of annealing; moves per position of the mesh
FLOORS = 1e-3  # temperature at the end, as a share of that at the start


def flit_hops(result: Load) -> float:
    """The default objective: flits x hops."""
    return result.flit_hops


def flit_hops_and_peak(result: Load) -> float:
    """Flits x hops, and as much again for the hottest link if it carried every flit on as many links as there are."""
    return result.flit_hops + result.peak * len(result.links)


def row_major(traffic: Traffic, mesh: MeshConfig, seed: int = 0) -> Placement:
    """Logical cores in ascending order, row by row."""
    return tuple(range(traffic.cores))


def zigzag(traffic: Traffic, mesh: MeshConfig, seed: int = 0) -> Placement:
    """Rows in alternating direction, so that consecutive logical cores are neighbours."""
    order = []
    for y in range(mesh.height):
        row = range(y * mesh.width, (y + 1) * mesh.width)
        order += reversed(row) if y % 2 else row
    return tuple(order[: traffic.cores])


def shuffled(traffic: Traffic, mesh: MeshConfig, seed: int = 0) -> Placement:
    """Drawn from all placements with ``seed``."""
    return tuple(int(n) for n in np.random.default_rng(seed).permutation(mesh.cores)[: traffic.cores])


def anneal(traffic: Traffic, mesh: MeshConfig, seed: int = 0, objective: Objective = flit_hops) -> Placement:
    """SciPy's FAQ as a start, then simulated annealing by swaps of two positions; the best of a few runs.

    The annealing itself is on flits x hops, where a swap costs only the flows that touch it; ``objective`` chooses
    among its results and the fixed placements, and the hottest link decides between equals.
    """
    problem = _Problem(traffic, mesh)
    rng = np.random.default_rng(seed)
    candidates = [row_major(traffic, mesh), zigzag(traffic, mesh)]
    for run in range(RESTARTS):
        start = problem.faq(rng) if run % 2 == 0 else rng.permutation(mesh.cores)
        candidates.append(problem.anneal(start, MOVES * mesh.cores, int(rng.integers(2**31))))

    def key(placement):
        result = load(traffic, mesh, placement)
        return round(objective(result), 6), round(result.peak, 6), placement

    return min(candidates, key=key)


PLACERS: dict[str, Callable[[Traffic, MeshConfig, int], Placement]] = {
    "row-major": row_major,
    "zigzag": zigzag,
    "random": shuffled,
    "anneal": anneal,
}
"""Every placer by its name; another one, a learned one for instance, is one more entry."""


def place(name: str, traffic: Traffic, mesh: MeshConfig, seed: int = 0) -> Placement:
    """The placement that the placer ``name`` makes; the same for the same seed.

    Raises :class:`TridentError` for an unknown placer, a mesh with too few cores, and a placer's wrong result.
    """
    if name not in PLACERS:
        raise TridentError(f"unknown placer {name!r}: choose one of {', '.join(PLACERS)}")
    if traffic.cores > mesh.cores:
        raise TridentError(
            f"the partition has {traffic.cores} cores, the mesh {mesh.width}x{mesh.height} has {mesh.cores}"
        )
    return check_placement(PLACERS[name](traffic, mesh, seed), traffic.cores, mesh)


def parse_placement(text: str, cores: int, mesh: MeshConfig) -> Placement:
    """Read ``3,1,0,2``: the mesh core of logical core 0, of core 1, and so on.

    Raises :class:`TridentError` for what is not a number and for what :func:`check_placement` refuses.
    """
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not re.fullmatch("[0-9]{1,6}", part):
            raise TridentError(f"placement {text!r}: {part!r} is no core's number: write as in 3,1,0,2")
    return check_placement(tuple(map(int, parts)), cores, mesh)


class _Problem:
    """Traffic as arrays: flow f goes from ``source[f]`` to ``targets[first[f] : first[f + 1]]``; positions without a
    logical core have numbers of their own beyond the last core, the host comes after them."""

    def __init__(self, traffic: Traffic, mesh: MeshConfig):
        self.mesh, self.size, self.cores = mesh, mesh.cores, traffic.cores
        host = mesh.cores
        flows = traffic.flows
        self.source = np.array([host if flow.source == HOST else flow.source for flow in flows], np.int64)
        targets = [[host if core == HOST else core for core in sorted(flow.destinations)] for flow in flows]
        self.first = np.cumsum([0, *map(len, targets)])
        self.targets = np.array([core for group in targets for core in group], np.int64)
        self.flits = np.array([flow.flits for flow in flows])
        touching = [[] for _ in range(host + 1)]
        for n, group in enumerate(targets):
            for core in {int(self.source[n]), *group}:
                touching[core].append(n)
        self.touch_first = np.cumsum([0, *map(len, touching)])
        self.touch = np.array([n for group in touching for n in group], np.int64)

    def faq(self, rng: np.random.Generator) -> np.ndarray:
        """A relaxed solution of the quadratic assignment; a multicast's flits are shared out over its targets."""
        flow = np.zeros((self.size, self.size))
        to_host = np.zeros(self.size)
        for n, source in enumerate(self.source):
            group = self.targets[self.first[n] : self.first[n + 1]]
            for target in group:
                share = self.flits[n] / len(group)
                if source < self.size and target < self.size:
                    flow[source, target] += share
                elif source != target:
                    to_host[min(source, target)] += share
        # The host sits at a fixed place: what goes there is a cost of the place, put on the diagonal
        flow[np.diag_indices(self.size)] = to_host
        x, y = np.arange(self.size) % self.mesh.width, np.arange(self.size) // self.mesh.width
        distance = np.abs(x[:, None] - x) + np.abs(y[:, None] - y)
        distance[np.diag_indices(self.size)] = x + y
        result = quadratic_assignment(flow, distance, method="faq", options={"rng": rng})
        return result.col_ind

    def anneal(self, start: np.ndarray, moves: int, seed: int) -> Placement:
        """From ``start``, the mesh core of every number, to the best placement that was met."""
        best = _anneal(
            start.astype(np.int64), moves, seed, FLOORS, self.mesh.width, self.source, self.first, self.targets,
            self.flits, self.touch_first, self.touch,
        )  # fmt: skip
        return tuple(int(n) for n in best[: self.cores])


@njit(cache=True)
def _hops(flow, places, width, source, first, targets, low, high):
    """Links of the tree of paths, along x then y, from a flow's source to its targets."""
    host = len(places)
    start = 0 if source[flow] == host else places[source[flow]]
    hops = 1 if source[flow] == host else 0
    y, x = divmod(start, width)
    left = right = x
    for column in range(width):
        low[column] = high[column] = y
    for n in range(first[flow], first[flow + 1]):
        if targets[n] == host:
            hops += 1
            end_y = end_x = 0
        else:
            end_y, end_x = divmod(places[targets[n]], width)
        left, right = min(left, end_x), max(right, end_x)
        low[end_x], high[end_x] = min(low[end_x], end_y), max(high[end_x], end_y)
    hops += right - left
    for column in range(width):
        hops += high[column] - low[column]
    return hops


@njit(cache=True)
def _anneal(places, moves, seed, floor, width, source, first, targets, flits, touch_first, touch):
    np.random.seed(seed)
    size = len(places)
    low, high = np.zeros(width, np.int64), np.zeros(width, np.int64)
    stamp = np.full(len(source), -1, np.int64)
    hops = np.zeros(len(source), np.int64)
    cost = 0.0
    for flow in range(len(source)):
        hops[flow] = _hops(flow, places, width, source, first, targets, low, high)
        cost += hops[flow] * flits[flow]
    best, best_cost = places.copy(), cost
    if size < 2:
        return best
    warm = 0.1 * cost / size
    for move in range(moves):
        a, b = np.random.randint(size), np.random.randint(size)
        if a == b:
            continue
        places[a], places[b] = places[b], places[a]
        change = 0.0
        for core in (a, b):
            for n in range(touch_first[core], touch_first[core + 1]):
                flow = touch[n]
                if stamp[flow] != move:
                    stamp[flow] = move
                    after = _hops(flow, places, width, source, first, targets, low, high)
                    change += (after - hops[flow]) * flits[flow]
        if change <= 0 or np.random.random() < np.exp(-change / (warm * floor ** (move / moves))):
            cost += change
            for core in (a, b):
                for n in range(touch_first[core], touch_first[core + 1]):
                    hops[touch[n]] = _hops(touch[n], places, width, source, first, targets, low, high)
            if cost < best_cost - 1e-9:
                best_cost = cost
                best[:] = places
        else:
            places[a], places[b] = places[b], places[a]
    return best
