"""The injector: packets of several sources on one link, whole, in turn, and never without a place."""

import random
from itertools import count

import pytest

from tests.hw.noc.play import Play
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import ROUTE_LAYOUT, Mode, far_position
from trident.hw.noc.inject import Injector, channel_of

MESHES = {
    "one channel": MeshConfig(width=4, height=3, buffers=8, packet=5),
    "four channels": MeshConfig(width=4, height=3, buffers=6, packet=6, channels=4),
    "smallest": MeshConfig(width=2, height=2, buffers=2, packet=2),
    "narrow links": MeshConfig(width=4, height=3, buffers=6, packet=5, phit=16),
    "narrow links, two channels": MeshConfig(width=4, height=3, buffers=5, packet=5, flit=64, phit=16, channels=2),
}


def _packets(mesh: MeshConfig, rng, source: int, lengths: list[int], serial) -> list[list[int]]:
    """Packets whose flits say where they come from and which they are."""
    packets = []
    for length in lengths:
        x, y = rng.randrange(mesh.width), rng.randrange(mesh.height)
        route = ROUTE_LAYOUT.pack(x=x, y=y)[0]
        number = next(serial)
        packets.append([route | source << 8 | number << 12, *(number << 8 | n for n in range(1, length))])
    return packets


def _flits(packets):
    return [{"data": data, "last": n == len(p) - 1} for p in packets for n, data in enumerate(p)]


def _play(mesh, given: list[list[list[int]]], flow: float, seed: int):
    design = Injector(mesh, len(given))
    play = Play(design, flow, seed)
    out = play.receive(design.o, mesh)
    for source, packets in zip(design.i, given, strict=True):
        play.give(source, _flits(packets))
    play.run(400)
    return out


@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("flow", [1.0, 0.6, 0.3])
def test_packets_stay_whole_and_in_order(name, flow):
    mesh, rng = MESHES[name], random.Random(flow)
    serial = count()
    given = [
        _packets(mesh, rng, n, [rng.choice((1, mesh.packet, rng.randint(1, mesh.packet))) for _ in range(25)], serial)
        for n in range(3)
    ]
    out = _play(mesh, given, flow, seed=3)
    for source, packets in enumerate(given):
        assert [packet for _, packet in out.values if packet[0] >> 8 & 15 == source] == packets
    for channel, packet in out.values:
        fields = ROUTE_LAYOUT.unpack([packet[0] & 0xFF])
        assert channel == channel_of(mesh, fields["x"], fields["y"])


def test_all_sources_take_turns():
    """Between two packets of one source, every other source that has one sends one."""
    mesh, rng = MESHES["one channel"], random.Random(0)
    serial = count()
    given = [_packets(mesh, rng, n, [1 + n % mesh.packet] * 20, serial) for n in range(6)]
    order = [packet[0] >> 8 & 15 for _, packet in _play(mesh, given, 1.0, 0).values]
    assert len(order) == 120
    for at in range(0, 110, 6):
        assert sorted(order[at : at + 6]) == list(range(6))


def test_a_slow_source_does_not_hold_the_link():
    """A packet waits until all of it is here; others pass before."""
    mesh = MESHES["one channel"]
    design = Injector(mesh, 2)
    play = Play(design)
    out = play.receive(design.o, mesh)
    slow, quick = [[1 << 8, 2, 3, 4]], [[n << 8] for n in range(10, 16)]

    async def give(ctx):
        for flit in _flits(slow):
            await play.put(ctx, design.i[0], [flit])
            await ctx.tick().repeat(20)

    play.during(give)
    play.give(design.i[1], _flits(quick))
    play.run()
    starts = [packet[0] for _, packet in out.values]
    assert sorted(starts) == sorted(packet[0] for packet in slow + quick)
    (end,) = (cycle for (_, packet), cycle in zip(out.values, out.cycles, strict=True) if packet == slow[0])
    assert end > 60


def test_latency():
    """Two cycles for the source that was served last, three for another."""
    mesh = MESHES["one channel"]
    design = Injector(mesh, 3)
    play = Play(design)
    out = play.receive(design.o, mesh)
    given = []

    async def give(ctx):
        for n in range(8):
            await ctx.tick().repeat(7)
            given.append(play.cycle)
            await play.put(ctx, design.i[n // 2 % 3], [{"data": n << 8, "last": 1}])

    play.during(give)
    play.run()
    assert [end - start for start, end in zip(given, out.cycles, strict=True)] == [2, 2, 3, 2, 3, 2, 3, 2]


def test_packets_for_the_host_are_signed_on_large_meshes():
    """With the bits of the core's position above the header's 32; those for cores stay as they are."""
    mesh, (x, y) = MeshConfig(width=12, height=10, flit=64, buffers=8, packet=5), (9, 8)
    design = Injector(mesh, 1, signs=True)
    play = Play(design, 1.0, 0)
    out = play.receive(design.o, mesh)
    packets = [[ROUTE_LAYOUT.pack(mode=mode, x=x % 8, y=y % 8)[0], 1 << 40, mode] for mode in Mode]
    play.give(design.i[0], _flits(packets))

    async def place(ctx):
        ctx.set(design.x, x)
        ctx.set(design.y, y)
        await ctx.tick()

    play.during(place)
    play.run(400)
    sent = {packet[-1]: packet for _, packet in out.values}
    for mode, packet in zip(Mode, packets, strict=True):
        high = far_position(mesh, x, y) if mode == Mode.HOST else 0
        assert sent[mode] == [packet[0] | high, *packet[1:]] and (mode != Mode.HOST or high)
