"""Flows and distances: what a placement costs, and what an exchange of two places changes, compiled."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from trident.host.mapping.traffic import Traffic
from trident.hw.noc.topology import HOST

NEAR = 4  # places to which a core is tried to be moved for one that it exchanges flits with


@dataclass(frozen=True)
class Problem:
    """``size`` cores, each to be given a place of its own: ``places[core]``, int64 (size,).

    The cost is the sum of ``flits`` x distance over pairs of cores, of ``host`` x ``home`` over cores, and of the flits
    of every multicast x the links of its tree. A mesh has as many cores as places: those beyond the partition's have no
    traffic.

    width: columns of the mesh, place n is in row n // width; distance: int32 (size, size), symmetric; home: int32
    (size,), from the host to a place; pairs: core c exchanges ``flits[first[c] : first[c + 1]]``, both ways together,
    with ``others[first[c] : first[c + 1]]``; host: float64 (size,), flits between a core and the host; trees: tree t
    goes from the core ``tree_source[t]`` to ``tree_targets[tree_first[t] : tree_first[t + 1]]`` with ``tree_flits[t]``,
    the host is the number ``size``; core c is in the trees ``touch[touch_first[c] : touch_first[c + 1]]``; roles: uint8
    (trees, size + 1), 1 for a target, 2 for the source.
    """

    width: int
    distance: np.ndarray
    home: np.ndarray
    first: np.ndarray
    others: np.ndarray
    flits: np.ndarray
    host: np.ndarray
    tree_source: np.ndarray
    tree_first: np.ndarray
    tree_targets: np.ndarray
    tree_flits: np.ndarray
    touch_first: np.ndarray
    touch: np.ndarray
    roles: np.ndarray

    @classmethod
    def of(cls, traffic: Traffic, width: int, height: int) -> "Problem":
        """The traffic of a partition on a mesh, in flits x hops."""
        size = width * height
        flows = np.zeros((size + 1, size + 1))
        trees: dict[tuple[int, ...], float] = {}  # source and targets
        for flow in traffic.flows:
            cores = tuple(size if n == HOST else n for n in (flow.source, *sorted(flow.destinations)))
            if len(cores) > 2:
                trees[cores] = trees.get(cores, 0.0) + flow.flits
            elif cores[0] != cores[1]:
                flows[cores] += flow.flits
        flows += flows.T
        y, x = np.divmod(np.arange(size), width)
        distance = abs(x[:, None] - x) + abs(y[:, None] - y)
        return cls._make(width, distance, x + y + 1, flows[:size, :size], flows[size, :size], trees)

    @classmethod
    def quadratic(cls, flows: np.ndarray, distance: np.ndarray) -> "Problem":
        """A quadratic assignment problem, (size, size) each, the distances symmetric: the sum of both directions."""
        size = len(flows)
        both = (flows + flows.T).astype(np.float64)
        np.fill_diagonal(both, 0)
        return cls._make(size, distance, np.zeros(size), both, np.zeros(size), {})

    @classmethod
    def _make(cls, width, distance, home, flows, host, trees) -> "Problem":
        size = len(flows)
        cores, others = np.nonzero(flows)
        roles = np.zeros((len(trees), size + 1), np.uint8)
        for n, (source, *targets) in enumerate(trees):
            roles[n, targets], roles[n, source] = 1, 2
        touching = [np.flatnonzero(roles[:, core]) for core in range(size)]
        return cls(
            width=width, distance=distance.astype(np.int32), home=home.astype(np.int32),
            first=np.searchsorted(cores, np.arange(size + 1)), others=others, flits=flows[cores, others],
            host=host.astype(np.float64), tree_source=np.array([source for source, *_ in trees], np.int64),
            tree_first=np.cumsum([0, *(len(targets) for _, *targets in trees)]),
            tree_targets=np.array([core for _, *targets in trees for core in targets], np.int64),
            tree_flits=np.array([*trees.values()], np.float64),
            touch_first=np.cumsum([0, *map(len, touching)]), touch=np.concatenate(touching), roles=roles,
        )  # fmt: skip

    @property
    def size(self) -> int:
        return len(self.host)

    @property
    def pairs(self) -> tuple:
        """What the compiled functions take of the flows between two."""
        return self.distance, self.home, self.first, self.others, self.flits, self.host

    @property
    def trees(self) -> tuple:
        """What the compiled functions take of multicasts."""
        room = np.zeros((2, self.width), np.int64)  # to work in
        return (self.tree_source, self.tree_first, self.tree_targets, self.tree_flits, self.touch_first, self.touch,
                self.roles, room)  # fmt: skip

    @cached_property
    def near(self) -> np.ndarray:
        """The :data:`NEAR` places that are nearest to each, int64 (size, up to NEAR)."""
        most = min(NEAR, self.size - 1)
        return np.argsort(self.distance, axis=1, kind="stable")[:, 1 : most + 1]

    @cached_property
    def flows(self) -> np.ndarray:
        """Flits between every two cores, float64 (size, size), symmetric, without multicasts."""
        flows = np.zeros((self.size, self.size))
        flows[self._cores, self.others] = self.flits
        return flows

    @cached_property
    def graph(self) -> csr_array:
        """The same with multicasts, each shared out over its targets, float64 (size, size)."""
        widths = np.diff(self.tree_first)
        sources, shares = (np.repeat(of, widths) for of in (self.tree_source, self.tree_flits / widths))
        ends = np.concatenate([sources, self.tree_targets]), np.concatenate([self.tree_targets, sources])
        inside = (ends[0] < self.size) & (ends[1] < self.size)  # between cores, not with the host
        shape = self.size, self.size
        trees = csr_array((np.tile(shares, 2)[inside], (ends[0][inside], ends[1][inside])), shape)
        return csr_array((self.flits, self.others, self.first), shape) + trees

    @cached_property
    def shared(self) -> np.ndarray:
        """The same, float64 (size, size)."""
        return self.graph.toarray()

    @property
    def _cores(self) -> np.ndarray:
        """The first core of every pair."""
        return np.repeat(np.arange(self.size), np.diff(self.first))

    def cost(self, places: np.ndarray) -> float:
        """Flits x hops of a solution."""
        pairs = self.flits @ self.distance[places[self._cores], places[self.others]] / 2
        trees = sum(tree_hops(n, places, *self.trees) * flits for n, flits in enumerate(self.tree_flits))
        return float(pairs + self.host @ self.home[places] + trees)


@njit(cache=True)
def tree_hops(tree, places, source, first, targets, flits, touch_first, touch, roles, room):
    """Links of the tree of paths, along x then y, from a multicast's source to its targets."""
    host = len(places)
    low, high = room
    width = len(low)
    start = 0 if source[tree] == host else places[source[tree]]
    count = 1 if source[tree] == host else 0
    y, x = divmod(start, width)
    left = right = x
    for column in range(width):
        low[column] = high[column] = y
    for n in range(first[tree], first[tree + 1]):
        if targets[n] == host:
            count += 1
            end_y = end_x = 0
        else:
            end_y, end_x = divmod(places[targets[n]], width)
        left, right = min(left, end_x), max(right, end_x)
        low[end_x], high[end_x] = min(low[end_x], end_y), max(high[end_x], end_y)
    count += right - left
    for column in range(left, right + 1):
        count += high[column] - low[column]
    return count


@njit(cache=True)
def pair_change(places, a, b, distance, home, first, others, flits, host):
    """What an exchange of the places of cores ``a`` and ``b`` changes of the flows between two."""
    here, there = places[a], places[b]
    change = (host[a] - host[b]) * (home[there] - home[here])
    near, far = distance[here], distance[there]
    for n in range(first[a], first[a + 1]):
        other = others[n]
        if other != b:
            change += flits[n] * (far[places[other]] - near[places[other]])
    for n in range(first[b], first[b + 1]):
        other = others[n]
        if other != a:
            change += flits[n] * (near[places[other]] - far[places[other]])
    return change


@njit(cache=True)
def tree_change(places, a, b, hops, source, first, targets, flits, touch_first, touch, roles, room):
    """The same of the multicasts, whose links now are ``hops``, int64 (trees,)."""
    change = 0.0
    places[a], places[b] = places[b], places[a]
    for core, other in ((a, b), (b, a)):
        for n in range(touch_first[core], touch_first[core + 1]):
            tree = touch[n]
            # Two targets of one tree may change places; trees of both are counted with the first of them
            if roles[tree, core] == roles[tree, other] or (core == b and roles[tree, a]):
                continue
            after = tree_hops(tree, places, source, first, targets, flits, touch_first, touch, roles, room)
            change += (after - hops[tree]) * flits[tree]
    places[a], places[b] = places[b], places[a]
    return change
