"""What a placement costs, and what an exchange changes, against the loads of all links and against matrices."""

import numpy as np
import pytest

from trident.host.mapping.placers.links import link_loads
from trident.host.mapping.placers.problem import Problem, pair_change, tree_change, tree_hops
from trident.host.mapping.traffic import Flow, Traffic, load
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import HOST

MESH = MeshConfig(width=5, height=3)


def drawn(seed: int, cores: int = 13) -> Traffic:
    """Flows by chance: between two, to several, from and to the host."""
    rng, flows = np.random.default_rng(seed), []
    for _ in range(40):
        source = int(rng.integers(-1, cores))
        targets = set(rng.choice(np.arange(-1, cores), rng.integers(1, 5), replace=False).tolist()) - {source}
        if targets:
            named = frozenset(HOST if n < 0 else n for n in targets)
            flows.append(Flow(HOST if source < 0 else source, named, float(rng.integers(1, 9)), "spikes"))
    return Traffic(cores, tuple(flows))


@pytest.mark.parametrize("seed", range(4))
def test_the_cost_is_what_the_links_carry(seed):
    flows, rng = drawn(seed), np.random.default_rng(seed)
    problem = Problem.of(flows, MESH.width, MESH.height)
    for _ in range(5):
        places = rng.permutation(MESH.cores)
        assert problem.cost(places) == pytest.approx(load(flows, MESH, tuple(places[:13])).flit_hops)


@pytest.mark.parametrize("seed", range(4))
def test_an_exchange_changes_the_cost_by_what_is_said(seed):
    problem, rng = Problem.of(drawn(seed), MESH.width, MESH.height), np.random.default_rng(seed)
    places = rng.permutation(MESH.cores)
    for a, b in rng.integers(0, MESH.cores, (60, 2)):
        if a == b:
            continue
        before = problem.cost(places)
        hops = np.array([tree_hops(tree, places, *problem.trees) for tree in range(len(problem.tree_source))])
        change = pair_change(places, a, b, *problem.pairs) + tree_change(places, a, b, hops, *problem.trees)
        places[a], places[b] = places[b], places[a]
        assert problem.cost(places) == pytest.approx(before + change)


def test_a_quadratic_assignment_costs_what_its_matrices_say():
    rng = np.random.default_rng(0)
    flows, distance = rng.integers(0, 9, (7, 7)), rng.integers(0, 9, (7, 7))
    np.fill_diagonal(flows, 0)
    distance = distance + distance.T
    np.fill_diagonal(distance, 0)
    problem, places = Problem.quadratic(flows, distance), rng.permutation(7)
    assert problem.cost(places) == (flows * distance[np.ix_(places, places)]).sum()


@pytest.mark.parametrize("seed", range(4))
def test_the_compiled_loads_are_those_of_the_links(seed):
    flows, places = drawn(seed), np.random.default_rng(seed).permutation(MESH.cores)
    found = load(flows, MESH, tuple(places[:13])).links
    groups = [(flow.source, *sorted(flow.destinations)) for flow in flows.flows]
    cores = np.array([MESH.cores if core == HOST else core for group in groups for core in group])
    first, flits = np.cumsum([0, *map(len, groups)]), np.array([flow.flits for flow in flows.flows])
    loads = link_loads(places, MESH.width, first, cores, flits)
    assert sorted(loads[loads > 0]) == pytest.approx(sorted(found.values()))
    for (source, target), flits in found.items():
        if HOST not in (source, target):
            side = (1, -1, MESH.width, -MESH.width).index(target - source)
            assert loads[4 * source + side] == pytest.approx(flits)


def test_what_multicasts_share():
    flows = Traffic(3, (Flow(0, frozenset({1, 2}), 6.0, "spikes"), Flow(1, frozenset({0}), 1.0, "errors")))
    shared = Problem.of(flows, 3, 1).shared
    assert shared.tolist() == [[0, 4, 3], [4, 0, 0], [3, 0, 0]]
