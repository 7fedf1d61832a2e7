"""Annealing on the load of links: the hottest one shall carry as little as it can."""

import numpy as np
from numba import njit

from trident.host.mapping.traffic import Traffic
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import HOST

POWER = 16  # of the norm of the links' loads, which is close to the largest and changes with every link
HEAT, COLD = 0.05, 1e-4  # first and last temperature, of the norm at the start
EAST, WEST, SOUTH, NORTH = range(4)
MOVE_NS, LINK_NS = 100, 25  # about what a tried exchange takes, and each flow of it


class Links:
    """Traffic on a mesh, as the compiled functions take it."""

    def __init__(self, traffic: Traffic, mesh: MeshConfig):
        size = mesh.cores
        joined: dict[tuple[int, ...], float] = {}
        for flow in traffic.flows:
            cores = tuple(size if n == HOST else n for n in (flow.source, *sorted(flow.destinations)))
            joined[cores] = joined.get(cores, 0.0) + flow.flits
        touching = [[n for n, cores in enumerate(joined) if core in cores] for core in range(size)]
        self.width, self.size, self.used = mesh.width, size, traffic.cores
        self.first, self.touch_first = (np.cumsum([0, *map(len, groups)]) for groups in ([*joined], touching))
        self.cores = np.array([core for group in joined for core in group], np.int64)
        self.touch = np.array([n for group in touching for n in group], np.int64)
        self.flits = np.array([*joined.values()], np.float64)

    def loads(self, places: np.ndarray) -> np.ndarray:
        """Flits on every link, four that leave each core, then that from the host and that to it."""
        return link_loads(places, self.width, self.first, self.cores, self.flits)

    def touching(self, places: np.ndarray, link: int) -> np.ndarray:
        """Cores that send or receive what a link carries."""
        found = through(places, self.width, self.first, self.cores, self.flits, link)
        ends = [self.cores[self.first[n] : self.first[n + 1]] for n in np.flatnonzero(found)]
        cores = np.unique(np.concatenate(ends)) if ends else np.empty(0, np.int64)
        return cores[cores < self.size]


def cooled(traffic: Traffic, mesh: MeshConfig, start: np.ndarray, seed: int, budget: float) -> np.ndarray:
    """The best solution that annealing meets from ``start``, int64 (mesh cores,), within about so many seconds."""
    links = Links(traffic, mesh)
    moves = int(budget * 1e9 / (MOVE_NS + 4 * LINK_NS * mesh.width * len(links.touch) / links.size))
    return _cooled(start.astype(np.int64), mesh.width, moves, seed, links.first, links.cores, links.flits,
                   links.touch_first, links.touch)  # fmt: skip


@njit(cache=True)
def _add(loads, link, flits):
    """Add flits to a link; what the sum of powers changes by."""
    before = loads[link]
    after = max(before + flits, 0.0)
    loads[link] = after
    return after**POWER - before**POWER


@njit(cache=True)
def _route(flow, flits, places, loads, first, cores, low, high):
    """Add flits to the links of a flow's tree, along x then y; what the sum of powers changes by.

    loads: four links that leave each core, then that from the host and that to it.
    """
    host, width, change = len(places), len(low), 0.0
    source = cores[first[flow]]
    start = 0 if source == host else places[source]
    if source == host:
        change += _add(loads, 4 * host, flits)
    y, x = divmod(start, width)
    left = right = x
    for column in range(width):
        low[column] = high[column] = y
    for n in range(first[flow] + 1, first[flow + 1]):
        if cores[n] == host:
            change += _add(loads, 4 * host + 1, flits)
        end_y, end_x = divmod(0 if cores[n] == host else places[cores[n]], width)
        left, right = min(left, end_x), max(right, end_x)
        low[end_x], high[end_x] = min(low[end_x], end_y), max(high[end_x], end_y)
    for column in range(x, right):
        change += _add(loads, 4 * (y * width + column) + EAST, flits)
    for column in range(left, x):
        change += _add(loads, 4 * (y * width + column + 1) + WEST, flits)
    for column in range(left, right + 1):
        for row in range(y, high[column]):
            change += _add(loads, 4 * (row * width + column) + SOUTH, flits)
        for row in range(low[column], y):
            change += _add(loads, 4 * ((row + 1) * width + column) + NORTH, flits)
    return change


@njit(cache=True)
def link_loads(places, width, first, cores, flits):
    """Loads of all links, as :func:`_route` numbers them."""
    loads, low, high = np.zeros(4 * len(places) + 2), np.zeros(width, np.int64), np.zeros(width, np.int64)
    for flow in range(len(flits)):
        _route(flow, flits[flow], places, loads, first, cores, low, high)
    return loads


@njit(cache=True)
def through(places, width, first, cores, flits, link):
    """Which flows go over a link, bool (flows,)."""
    low, high, found = np.zeros(width, np.int64), np.zeros(width, np.int64), np.zeros(len(flits), np.bool_)
    loads = np.zeros(4 * len(places) + 2)
    for flow in range(len(flits)):
        loads[link] = 0
        _route(flow, flits[flow], places, loads, first, cores, low, high)
        found[flow] = loads[link] > 0
    return found


@njit(cache=True)
def _cooled(places, width, moves, seed, first, cores, flits, touch_first, touch):
    np.random.seed(seed)
    size, best = len(places), places.copy()
    loads = link_loads(places, width, first, cores, flits)
    if size < 2 or loads.max() == 0:
        return best
    flits = flits / loads.max()  # so that powers stay small
    loads /= loads.max()
    low, high = np.zeros(width, np.int64), np.zeros(width, np.int64)
    stamp = np.full(len(flits), -1, np.int64)
    powers = (loads**POWER).sum()
    lowest = start = powers ** (1 / POWER)
    for move in range(moves):
        a, b = np.random.randint(size), np.random.randint(size)
        if a == b:
            continue
        change = 0.0
        for step in range(2):  # away from the old places, along the new ones
            for core in (a, b):
                for n in range(touch_first[core], touch_first[core + 1]):
                    if stamp[touch[n]] != 2 * move + step:
                        stamp[touch[n]] = 2 * move + step
                        sign = 1 if step else -1
                        change += _route(touch[n], sign * flits[touch[n]], places, loads, first, cores, low, high)
            if step == 0:
                places[a], places[b] = places[b], places[a]
        now, then = max(powers, 0.0) ** (1 / POWER), max(powers + change, 0.0) ** (1 / POWER)
        temperature = start * HEAT * (COLD / HEAT) ** (move / moves)
        if then <= now or np.random.random() < np.exp((now - then) / temperature):
            powers += change
            if then < lowest - 1e-9:
                lowest = then
                best[:] = places
        else:
            for step in range(2):
                for core in (a, b):
                    for n in range(touch_first[core], touch_first[core + 1]):
                        if stamp[touch[n]] != -2 - 2 * move - step:
                            stamp[touch[n]] = -2 - 2 * move - step
                            sign = 1 if step else -1
                            _route(touch[n], sign * flits[touch[n]], places, loads, first, cores, low, high)
                if step == 0:
                    places[a], places[b] = places[b], places[a]
    return best
