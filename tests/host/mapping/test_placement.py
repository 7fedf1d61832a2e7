"""Placers: what they return, that a search is better than fixed orders, objectives, and what is refused."""

from itertools import permutations

import numpy as np
import pytest

from trident.host.compile.placement import check_placement
from trident.host.mapping.placement import OBJECTIVES, PLACERS, Placer, Placing, parse_placement, place
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


QUICK = 0.02  # seconds


def loaded(flows, name="best", seed=0, objective="flit-hops"):
    return load(flows, MESH, place(Placing(name, objective, QUICK), flows, MESH, seed))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", PLACERS)
def test_every_core_has_a_place_of_its_own(flows, name, objective):
    how = Placing(name, objective, QUICK)
    placement = place(how, flows, MESH, seed=3)
    assert check_placement(placement, flows.cores, MESH) == placement
    assert place(how, flows, MESH, seed=3) == placement
    assert PLACERS[name].drawn or place(how, flows, MESH, seed=4) == placement


def test_fixed_orders():
    nothing = Traffic(6, ())
    mesh = MeshConfig(width=3, height=2)
    assert place(Placing("row-major"), nothing, mesh) == (0, 1, 2, 3, 4, 5)
    assert place(Placing("zigzag"), nothing, mesh) == (0, 1, 2, 5, 4, 3)


def test_seeds_differ(flows):
    assert len({place(Placing("random"), flows, MESH, seed) for seed in range(10)}) > 5


@pytest.mark.parametrize("name", ["anneal", "tabu", "best"])
def test_a_search_beats_the_fixed_orders(flows, name):
    best = loaded(flows, name).flit_hops
    for other in ("row-major", "zigzag", "hilbert", "spectral"):
        assert best <= loaded(flows, other).flit_hops
    random = [loaded(flows, "random", seed).flit_hops for seed in range(50)]
    assert best < 0.8 * np.mean(random) and best <= min(random)


def test_the_best_of_a_small_mesh_is_found():
    mesh = MeshConfig(width=2, height=2)
    order = (0, 3, 1, 2)  # a ring that neither fixed placement has
    ring = Traffic(4, tuple(Flow(a, frozenset({b}), 5.0, "spikes") for a, b in zip(order, order[1:] + order[:1])))
    best = min(load(ring, mesh, order).flit_hops for order in permutations(range(4)))
    assert load(ring, mesh, place(Placing(budget=QUICK), ring, mesh)).flit_hops == best


def test_the_hottest_link_is_an_objective(flows):
    hops, peak = loaded(flows), loaded(flows, objective="peak-link")
    assert peak.peak < hops.peak and hops.flit_hops < peak.flit_hops
    assert OBJECTIVES["peak-link"](peak) < OBJECTIVES["peak-link"](hops)
    assert loaded(flows, "zigzag", objective="peak-link") == loaded(flows, "zigzag")  # which is no search


@pytest.mark.parametrize("name", ["anneal", "tabu", "best"])
def test_a_single_core(name):
    alone = Traffic(1, (Flow(HOST, frozenset({0}), 3.0, "spikes"),))
    assert place(Placing(name, budget=QUICK), alone, MeshConfig(width=1, height=1)) == (0,)
    assert place(Placing(name, budget=QUICK), alone, MESH) == (0,)  # next to the host


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


@pytest.mark.parametrize(
    "how, sentence",
    [
        (Placing("worst"), "unknown placer 'worst': choose one of row-major, zigzag, hilbert, spectral, random,"),
        (Placing(objective="luck"), "unknown objective 'luck': choose one of flit-hops, peak-link, latency"),
        (Placing(budget=0), "budget must be seconds above 0, up to 3600, not 0"),
        (Placing(budget=-1.5), "budget must be seconds above 0, up to 3600, not -1.5"),
        (Placing(budget=float("nan")), "budget must be seconds above 0, up to 3600, not nan"),
        (Placing(budget=1e9), "budget must be seconds above 0, up to 3600, not 1e"),
    ],
)
def test_refuses_what_is_no_placing(how, sentence, flows):
    with pytest.raises(TridentError, match=sentence):
        place(how, flows, MESH)


def test_refuses_a_mesh_that_is_too_small(flows):
    with pytest.raises(TridentError, match="the partition has 12 cores, the mesh 2x2 has 4"):
        place(Placing(), flows, MeshConfig(width=2, height=2))


def test_a_placer_can_be_added(flows, monkeypatch):
    backwards = Placer(lambda problem, rng, budget: np.arange(problem.size)[::-1], "last core first")
    monkeypatch.setitem(PLACERS, "backwards", backwards)
    assert place(Placing("backwards"), flows, MESH)[0] == MESH.cores - 1
    monkeypatch.setitem(PLACERS, "stacked", Placer(lambda problem, rng, budget: np.zeros(problem.size, int), "wrong"))
    with pytest.raises(TridentError, match="names mesh core 0 twice"):
        place(Placing("stacked"), flows, MESH)
