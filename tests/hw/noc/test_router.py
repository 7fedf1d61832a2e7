"""The router alone, at corners and in the middle of a mesh, with packets from every side."""

from dataclasses import replace
from random import Random

import pytest

from tests.hw.noc.links import OneRouter, Traffic
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Mode
from trident.hw.noc.routing import TURNS, ports, toward
from trident.hw.noc.topology import HOST_OUT, Port

MESH = MeshConfig(width=3, height=3, buffers=8, packet=5, groups=16)
MESHES = {
    "one channel": MESH,
    "three channels": replace(MESH, channels=3),
    "smallest": replace(MESH, buffers=2, packet=2, groups=1),
    "odd sizes": replace(MESH, buffers=7, packet=3, groups=5),
}
CORES = {"first": 0, "middle": 4, "last": 8}


def legal(mesh: MeshConfig, at: int, came: Port, mode: Mode, x: int, y: int) -> bool:
    """Whether a packet can have come this way; from its core anything can come."""
    if came == Port.LOCAL or mode in (Mode.MULTICAST, Mode.BROADCAST):
        return True
    if mode == Mode.HOST:
        return came in (Port.EAST, Port.SOUTH) and (came == Port.EAST or mesh.position(at)[0] == 0)
    return toward(mesh, at, x, y) in TURNS[came]


def traffic_of(mesh: MeshConfig, core: int, packets: int, seed: int) -> Traffic:
    """Random packets of all modes into every port, each with the ports that the routing function says."""
    random = Random(seed)
    traffic = Traffic(mesh, seed)
    table = {group: random.randrange(32) for group in range(mesh.groups)}
    traffic.tables = [(0, group, mask) for group, mask in table.items()]
    edge = core in (0, 8)
    while len(traffic.packets) < packets:
        came, mode = random.choice(list(Port)), random.choice(list(Mode))
        x, y = random.randrange(mesh.width), random.randrange(mesh.height)
        if mode == Mode.MULTICAST:
            group = random.randrange(mesh.groups)
            x, y = group % 8, group // 8
        if not legal(mesh, core, came, mode, x, y):
            continue
        to = sorted(ports(mesh, core, came, mode, x, y, table))
        assert not edge or mode != Mode.HOST or not to or core or to == [HOST_OUT]
        traffic.send(0, came, mode, to, traffic.length(), (x, y))
    return traffic


@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("place", CORES)
def test_traffic(name, place):
    mesh = MESHES[name]
    for seed, (gap, slow) in enumerate(((0, 0), (0.3, 0.6), (0.1, 0.9))):
        traffic = traffic_of(mesh, CORES[place], 300, seed)
        traffic.play(OneRouter(mesh, CORES[place]), gap, slow, seed)


@pytest.mark.parametrize("channels", [1, 2])
def test_columns_and_rows_beyond_eight(channels):
    """Their higher bits are above the header's 32."""
    mesh = replace(MESH, width=12, height=11, flit=64, channels=channels)
    for seed, place in enumerate(((8, 8), (9, 2), (0, 10))):
        core = place[0] + mesh.width * place[1]
        traffic = traffic_of(mesh, core, 300, seed)
        assert any(packet["route"] >> 32 for packet in traffic.packets)
        traffic.play(OneRouter(mesh, core), 0.1, 0.3, seed)


def test_latency_is_two_cycles():
    mesh, core = MESH, CORES["middle"]
    traffic = traffic_of(mesh, core, 60, 9)
    traffic.packets = [packet | {"at": 60 * n} for n, packet in enumerate(p for p in traffic.packets if p["to"])]
    traffic.play(OneRouter(mesh, core), 0, 0, 0, latency=[2] * len(traffic.packets))


def rivals(mesh: MeshConfig, lengths: list[int], packets: int) -> Traffic:
    """Links that want each other's outputs all the time."""
    traffic = Traffic(mesh, 0)
    flows = [(Port.SOUTH, (1, 0)), (Port.WEST, (1, 1)), (Port.EAST, (1, 0)), (Port.LOCAL, (1, 2)), (Port.NORTH, (1, 1))]
    for (came, where), length in zip(flows, lengths):
        for _ in range(packets):
            to = sorted(ports(mesh, 4, came, Mode.UNICAST, *where, {}))
            traffic.send(0, came, Mode.UNICAST, to, length, where)
    return traffic


@pytest.mark.parametrize("lengths", ["11111", "55155", "55555", "11511", "45532"])
@pytest.mark.parametrize("name", ["one channel", "three channels"])
def test_nobody_waits_for_long(name, lengths):
    """A link that has a packet sends one before the others have sent many, whatever their lengths."""
    traffic = rivals(MESHES[name], list(map(int, lengths)), 60)
    traffic.play(OneRouter(MESHES[name], 4), 0, 0, 0, max_wait=40)
