"""Routing: everything arrives, by the shortest way, and nothing can wait in a circle; broken routing is found."""

from random import Random

import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Mode
from trident.hw.noc.deadlock import check
from trident.hw.noc.routing import TURNS, multicast_table, path, ports, toward, walk
from trident.hw.noc.topology import HOST, Port, hops, opposite

MESHES = [MeshConfig(width=w, height=h) for w, h in ((1, 1), (2, 1), (1, 3), (2, 2), (5, 4), (8, 8))]
MESH = MeshConfig(width=5, height=4)


def out_of(steps: list[tuple[int, Port, Port]]) -> list[int]:
    """The cores that a packet reached."""
    return sorted(at for at, _, port in steps if port == Port.LOCAL)


@pytest.mark.parametrize("mesh", MESHES, ids=lambda mesh: f"{mesh.width}x{mesh.height}")
def test_unicasts_take_the_shortest_way(mesh):
    for source in (*range(mesh.cores), HOST):
        for to in range(mesh.cores):
            if source != to:
                steps = walk(mesh, source, Mode.UNICAST, *mesh.position(to), {})
                assert out_of(steps) == [to] and len(steps) == hops(mesh, source, to)
                assert [(at, port) for at, _, port in steps] == path(mesh, source, to)


@pytest.mark.parametrize("mesh", MESHES, ids=lambda mesh: f"{mesh.width}x{mesh.height}")
def test_every_core_reaches_the_host(mesh):
    for core in range(mesh.cores):
        steps = walk(mesh, core, Mode.HOST, *mesh.position(core), {})
        assert steps[-1][0] == 0 and steps[-1][2] == Port.NORTH and len(steps) == hops(mesh, core, HOST)
        assert [(at, port) for at, _, port in steps] == path(mesh, core, HOST)


@pytest.mark.parametrize("mesh", MESHES, ids=lambda mesh: f"{mesh.width}x{mesh.height}")
def test_broadcasts_reach_every_core_once(mesh):
    assert out_of(walk(mesh, HOST, Mode.BROADCAST, 0, 0, {})) == list(range(mesh.cores))


@pytest.mark.parametrize("source", [HOST, 0, 7, 19])
def test_multicasts_reach_their_group_once(source):
    random = Random(source)
    for size in (1, 2, 5, 19):
        group = random.sample([core for core in range(20) if core != source], size)
        tables = {core: {9: mask} for core, mask in multicast_table(MESH, source, group).items()}
        steps = walk(MESH, source, Mode.MULTICAST, 1, 1, tables)
        assert out_of(steps) == sorted(group)
        assert len(steps) <= sum(hops(MESH, source, core) for core in group)


def test_nothing_goes_back_nor_turns_to_x():
    for came, outs in TURNS.items():
        assert came not in outs
        assert came not in (Port.NORTH, Port.SOUTH) or not {Port.EAST, Port.WEST} & set(outs)


def test_packets_for_nobody_are_dropped():
    assert ports(MESH, 7, Port.LOCAL, Mode.UNICAST, *MESH.position(7), {}) == set()
    assert ports(MESH, 7, Port.LOCAL, Mode.MULTICAST, 0, 0, {}) == set()
    assert ports(MESH, 7, Port.LOCAL, Mode.BROADCAST, 0, 0, {}) == set()
    assert ports(MESH, 7, Port.EAST, Mode.MULTICAST, 3, 0, {3: 1 << Port.EAST}) == set()


def test_refusals():
    for source, group, words in ((3, [3], "core 3 cannot send to itself"), (3, [], "at least one destination"),
                                 (3, [20], "no core 20"), (-2, [3], "no core -2"), (HOST, [-1], "no core -1")):
        with pytest.raises(TridentError, match=words):
            multicast_table(MESH, source, group)
    with pytest.raises(TridentError, match="the host cannot send to itself"):
        path(MESH, HOST, HOST)
    with pytest.raises(TridentError, match="leaves the mesh at the port EAST of core 4"):
        walk(MESH, 0, Mode.UNICAST, 6, 0, {})


# Deadlock
GROUPS = [(HOST, range(20)), (7, [0, 4, 15, 19]), (19, [0, 1, 2]), (0, [19])]


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("mesh", MESHES, ids=lambda mesh: f"{mesh.width}x{mesh.height}")
def test_no_circle(mesh, channels):
    mesh = MeshConfig(width=mesh.width, height=mesh.height, channels=channels)
    check(mesh, GROUPS if mesh.cores == 20 else [])
    check(mesh, answering=[[HOST]])


def test_random_groups_have_no_circle():
    random = Random(5)
    for _ in range(10):
        groups = []
        for _ in range(32):
            source = random.choice([HOST, *range(20)])
            groups.append((source, random.sample([n for n in range(20) if n != source], random.randint(1, 19))))
        check(MESH, groups)


def _some_along_y_first(mesh, at, came, mode, x, y, table):
    """Packets to the west half go along y first."""
    if mode != Mode.UNICAST or x > 2:
        return ports(mesh, at, came, mode, x, y, table)
    here_x, here_y = mesh.position(at)
    return {toward(mesh, at, here_x if y != here_y else x, y)}


def test_mixed_orders_are_found():
    with pytest.raises(TridentError, match=r"in a circle: .*router \d+ (NORTH|SOUTH).*router \d+ (EAST|WEST)"):
        check(MESH, route=_some_along_y_first)


def _around(mesh, at, came, mode, x, y, table):
    """To the east even where the destination is in the west: off the mesh."""
    chosen = ports(mesh, at, came, mode, x, y, table)
    return {Port.EAST if port == Port.WEST else port for port in chosen}


def _back_and_forth(mesh, at, came, mode, x, y, table):
    return {opposite(came)} if came != Port.LOCAL and at == 1 else ports(mesh, at, came, mode, x, y, table)


def test_routes_that_lead_nowhere_are_found():
    with pytest.raises(TridentError, match="leaves the mesh at the port EAST"):
        check(MESH, route=_around)
    with pytest.raises(TridentError, match="leaves the mesh at the port|comes to router"):
        check(MESH, route=_back_and_forth)


@pytest.mark.parametrize("ends", [range(20), [3, 4], [HOST, 19]])
def test_several_reads_at_a_time_are_found(ends):
    with pytest.raises(TridentError, match="in a circle: .*link to .* link from"):
        check(MESH, answering=[ends])


def test_too_many_groups_are_refused():
    with pytest.raises(TridentError, match="33 multicast groups do not fit"):
        check(MESH, [(0, [1])] * 33)
