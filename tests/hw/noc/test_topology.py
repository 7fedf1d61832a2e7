"""Ports, neighbours and distances."""

import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import HOST, STEP, Port, check_core, core_at, hops, links, neighbour, opposite

MESH = MeshConfig(width=5, height=4)


def test_neighbours_face_each_other():
    for core in range(MESH.cores):
        for port in STEP:
            other = neighbour(MESH, core, port)
            if other is not None:
                assert neighbour(MESH, other, opposite(port)) == core
    assert neighbour(MESH, 7, Port.LOCAL) is None


def test_y_grows_to_the_south():
    assert [neighbour(MESH, 6, port) for port in STEP] == [1, 7, 11, 5]


def test_edges_have_no_neighbour():
    assert [neighbour(MESH, 0, port) for port in STEP] == [None, 1, 5, None]
    assert [neighbour(MESH, 19, port) for port in STEP] == [14, None, None, 18]


def test_links_are_all_there_once():
    found = list(links(MESH))
    assert len(found) == len(set(found)) == 2 * (4 * 4 + 5 * 3)


def test_cores_by_position():
    assert [core_at(MESH, *MESH.position(core)) for core in range(MESH.cores)] == list(range(MESH.cores))
    with pytest.raises(TridentError, match=r"no core at \(5, 0\)"):
        core_at(MESH, 5, 0)


def test_hops():
    assert hops(MESH, 0, 19) == 8 and hops(MESH, 19, 0) == 8 and hops(MESH, 3, 4) == 2
    assert hops(MESH, HOST, 0) == 1 and hops(MESH, 19, HOST) == 8


def test_refusals():
    with pytest.raises(TridentError, match="no core 20: the 5 x 4 mesh has 0 to 19"):
        check_core(MESH, 20)
    with pytest.raises(TridentError, match="no core -2"):
        neighbour(MESH, -2, Port.EAST)
    with pytest.raises(TridentError, match="LOCAL has no opposite"):
        opposite(Port.LOCAL)
