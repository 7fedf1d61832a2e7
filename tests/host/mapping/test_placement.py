"""Placers: what they return, that annealing is better than what it starts from, and what is refused."""

from itertools import permutations

import numpy as np
import pytest

from trident.host.compile.placement import check_placement
from trident.host.mapping.placement import (
    PLACERS,
    _hops,
    _Problem,
    anneal,
    flit_hops,
    flit_hops_and_peak,
    parse_placement,
    place,
)
from trident.host.mapping.traffic import Flow, Traffic, load, traffic
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import HOST
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

MESH = MeshConfig(width=4, height=3)
NETWORK = Network.parse("8x8x1-4c3-8c3s2-12c3-10")


@pytest.fixture(scope="module")
def flows():
    partition = Partition.parse("2x1,2/2,3/2,4", NETWORK, 1)
    return traffic(NETWORK, partition, CoreConfig.preset("FPGA"), MESH, 20)


@pytest.mark.parametrize("name", PLACERS)
def test_every_core_has_a_place_of_its_own(flows, name):
    placement = place(name, flows, MESH, seed=3)
    assert check_placement(placement, flows.cores, MESH) == placement
    assert place(name, flows, MESH, seed=3) == placement


def test_fixed_orders():
    nothing = Traffic(6, ())
    mesh = MeshConfig(width=3, height=2)
    assert place("row-major", nothing, mesh) == (0, 1, 2, 3, 4, 5)
    assert place("zigzag", nothing, mesh) == (0, 1, 2, 5, 4, 3)


def test_seeds_differ(flows):
    assert len({place("random", flows, MESH, seed) for seed in range(10)}) > 5


def test_annealing_beats_the_others(flows):
    best = load(flows, MESH, place("anneal", flows, MESH)).flit_hops
    for name in ("row-major", "zigzag"):
        assert best <= load(flows, MESH, place(name, flows, MESH)).flit_hops
    random = [load(flows, MESH, place("random", flows, MESH, seed)).flit_hops for seed in range(50)]
    assert best < 0.8 * np.mean(random) and best <= min(random)


def test_annealing_finds_the_best_of_a_small_mesh():
    mesh = MeshConfig(width=2, height=2)
    order = (0, 3, 1, 2)  # a ring that neither fixed placement has
    ring = Traffic(4, tuple(Flow(a, frozenset({b}), 5.0, "spikes") for a, b in zip(order, order[1:] + order[:1])))
    best = min(load(ring, mesh, order).flit_hops for order in permutations(range(4)))
    assert load(ring, mesh, place("anneal", ring, mesh)).flit_hops == best


def test_the_objective_can_be_another(flows):
    hops = load(flows, MESH, anneal(flows, MESH, 1, flit_hops))
    both = load(flows, MESH, anneal(flows, MESH, 1, flit_hops_and_peak))
    assert flit_hops_and_peak(both) <= flit_hops_and_peak(hops)
    assert flit_hops(hops) <= flit_hops(both)


def test_the_annealer_counts_as_the_links_do(flows):
    problem = _Problem(flows, MESH)
    rng = np.random.default_rng(0)
    low, high = np.zeros(MESH.width, np.int64), np.zeros(MESH.width, np.int64)
    for _ in range(5):
        places = rng.permutation(MESH.cores)
        total = sum(
            flow.flits * _hops(n, places, MESH.width, problem.source, problem.first, problem.targets, low, high)
            for n, flow in enumerate(flows.flows)
        )
        assert total == pytest.approx(load(flows, MESH, tuple(places[: flows.cores])).flit_hops)


def test_a_single_core():
    alone = Traffic(1, (Flow(HOST, frozenset({0}), 3.0, "spikes"),))
    assert place("anneal", alone, MeshConfig(width=1, height=1)) == (0,)
    assert place("anneal", alone, MESH) == (0,)  # next to the host


def test_reads_a_user_s_placement():
    assert parse_placement("3, 1,0", 3, MESH) == (3, 1, 0)


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("3,1,3", "names mesh core 3 twice, for cores 0 and 2"),
        ("3,1,12", "puts core 2 on mesh core 12, but the mesh 4x3 has cores 0 to 11"),
        ("3,1", "a placement of 3 cores names 3 mesh cores, not 2"),
        ("3,one,2", "'one' is no core's number"),
        ("3,-1,2", "'-1' is no core's number"),
        ("", "'' is no core's number"),
    ],
)
def test_refuses_a_wrong_placement(text, sentence):
    with pytest.raises(TridentError, match=sentence):
        parse_placement(text, 3, MESH)


def test_refuses_an_unknown_placer_and_a_small_mesh(flows):
    with pytest.raises(TridentError, match="unknown placer 'best': choose one of row-major, zigzag, random, anneal"):
        place("best", flows, MESH)
    with pytest.raises(TridentError, match="the partition has 12 cores, the mesh 2x2 has 4"):
        place("anneal", flows, MeshConfig(width=2, height=2))


def test_a_placer_can_be_added(flows, monkeypatch):
    monkeypatch.setitem(PLACERS, "backwards", lambda traffic, mesh, seed: tuple(reversed(range(traffic.cores))))
    assert place("backwards", flows, MESH)[0] == flows.cores - 1
    monkeypatch.setitem(PLACERS, "stacked", lambda traffic, mesh, seed: (0,) * traffic.cores)
    with pytest.raises(TridentError, match="names mesh core 0 twice"):
        place("stacked", flows, MESH)
