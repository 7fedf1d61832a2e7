"""The host tile: what passes, what it does by itself, and what is left of a host that has waited in vain."""

import random

import pytest

from tests.hw.noc.play import Play, phits
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import ANSWER, COMMAND, HEADER, PUT, TOKEN, Command, Mode, Packet, far_position
from trident.hw.isa.spaces import Space
from trident.hw.isa.tokens import Token
from trident.hw.noc.host_tile import HostTile

MESHES = {
    "one core": MeshConfig(width=1, height=1),
    "many": MeshConfig(width=4, height=3, buffers=10, packet=5, channels=3),
    "narrow links": MeshConfig(width=4, height=3, buffers=10, packet=5, phit=16),
    "large": MeshConfig(width=11, height=9, buffers=10, packet=5, flit=64),
}
LIMIT_UNIT = 1024


class Bench:
    """A host tile with a host that gives packets in order, and cores that are played by the test."""

    def __init__(self, name: str, flow: float = 1.0, limit: int = 60_000):
        self.mesh = MESHES[name]
        self.design = HostTile(self.mesh)
        self.play = Play(self.design, flow, seed=1, limit=limit)
        self.up = self.play.receive(self.design.up, self.mesh)
        self.down = self.play.take(self.design.o, lambda payload: (payload.data, payload.last))

    def host(self, packets: list[list[int]]):
        self.play.give(self.design.i, [
            {"data": data, "last": n == len(packet) - 1} for packet in packets for n, data in enumerate(packet)
        ])  # fmt: skip

    def cores(self, packets: list[list[int]]):
        """Packets from cores, all in the last channel, as they are to stay in order."""
        self.play.send(self.design.down, self.mesh, packets, lambda packet: self.mesh.channels - 1)

    def command(self, command: Command, value: int = 0, core: int = 0) -> list[int]:
        x, y = self.mesh.position(core)
        word = COMMAND.pack(mode=Mode.HOST, x=x % 8, y=y % 8, packet=command, value=value)[0]
        return [word | far_position(self.mesh, x, y)]

    def token(self, core: int, token: Token, value: int = 0) -> list[int]:
        """What a core tells the host."""
        x, y = self.mesh.position(core)
        word = TOKEN.pack(mode=Mode.HOST, x=x % 8, y=y % 8, packet=Packet.TOKEN, token=token, value=value)[0]
        return [word | far_position(self.mesh, x, y)]

    def write(self, number: int, length: int) -> list[int]:
        return [*HEADER.pack(packet=Packet.WRITE, space=Space.WEIGHTS, address=number), *range(1, length)]

    @property
    def passed(self) -> list[list[int]]:
        return [packet for _, packet in self.up.values]


def _sample(number: int) -> list[list[int]]:
    """Spikes and a token."""
    return [
        [*PUT.pack(packet=Packet.SPIKES, address=number), 0xABC, number],
        TOKEN.pack(packet=Packet.TOKEN, token=Token.INPUT_READY0, value=number),
    ]


@pytest.mark.parametrize("flow", [1.0, 0.5])
@pytest.mark.parametrize("name", MESHES)
def test_packets_pass_both_ways(name, flow):
    bench, rng = Bench(name, flow), random.Random(2)
    out = [bench.write(n, rng.randint(2, bench.mesh.packet)) for n in range(20)]
    back = [
        [*ANSWER.pack(mode=Mode.HOST, packet=rng.choice((Packet.ANSWER, Packet.SPIKES))), *range(rng.randint(0, 4))]
        for n in range(20)
    ]
    bench.host(out)
    bench.cores(back)
    bench.play.run(300)
    assert bench.passed == out
    flits = [(data, n == len(packet) - 1) for packet in back for n, data in enumerate(packet)]
    assert bench.down.values == flits


@pytest.mark.parametrize("flow", [1.0, 0.6])
@pytest.mark.parametrize("name", MESHES)
def test_samples_wait_for_room(name, flow):
    """Two fit at once; every further one waits for a token of its core, and tokens of others do not help."""
    bench = Bench(name, flow)
    core = bench.mesh.cores - 1
    packets = [bench.command(Command.FREE, 2, core)]
    for n in range(6):
        packets += [bench.command(Command.WAIT, core=core), *_sample(n)]
    bench.host(packets)
    frees = []

    async def watch(ctx):
        """Free a slot long after the last sample that found one has passed."""
        for n in range(4):
            await ctx.tick().repeat(150)
            assert sum(packet[0] >> 8 & 7 == Packet.SPIKES for packet in bench.passed) == 2 + n
            frees.append(bench.play.cycle)
            await put(ctx, bench.token(core, Token.INPUT_FREE))

    async def put(ctx, packet):
        parts = phits(packet, bench.mesh)
        for n, data in enumerate(parts):
            ctx.set(bench.design.down.flit, {"data": data, "last": n == len(parts) - 1})
            ctx.set(bench.design.down.valid, 1)
            await ctx.tick()
        ctx.set(bench.design.down.valid, 0)

    bench.play.during(watch)
    bench.play.run(200)
    assert bench.passed == [packet for n in range(6) for packet in _sample(n)]
    assert len(frees) == 4
    assert bench.down.values == [], "the tokens are for the tile"


@pytest.mark.parametrize("name, cores", [("many", (3, 7, 11)), ("large", (1, 9, 89))])
def test_room_is_counted_core_by_core(name, cores):
    """On a large mesh, of cores whose columns and rows differ only above three bits."""
    bench = Bench(name)
    packets, rooms = [], dict(zip(cores, (3, 7, 11), strict=True))
    for core, room in rooms.items():
        packets.append(bench.command(Command.FREE, room, core))
    for core, room in rooms.items():
        for n in range(room):
            packets += [bench.command(Command.WAIT, core=core), *_sample(16 * room + n)]
    bench.host(packets)
    bench.play.run()
    assert len(bench.passed) == 2 * (3 + 7 + 11)


@pytest.mark.parametrize("name", MESHES)
def test_a_wait_in_vain_ends(name):
    """Samples are then dropped, reads and writes pass, until the next LIMIT."""
    bench, limit = Bench(name), 2
    read = [*HEADER.pack(packet=Packet.READ, space=Space.REGISTERS), 7]
    bench.host([
        bench.command(Command.LIMIT, limit), bench.command(Command.WAIT), *_sample(1), read,
        bench.command(Command.WAIT), *_sample(2), bench.write(5, 3),
        bench.command(Command.LIMIT, limit), bench.command(Command.FREE, 1), bench.command(Command.WAIT), *_sample(3),
    ])  # fmt: skip
    bench.play.run()
    assert bench.passed == [read, bench.write(5, 3), *_sample(3)]
    assert limit * LIMIT_UNIT < bench.up.cycles[0] < (limit + 1) * LIMIT_UNIT + 50


@pytest.mark.parametrize("flow", [1.0, 0.4])
def test_barrier_of_all_cores(flow):
    """GO goes to every core when all have voted, with the faults of all, and again the next time without them."""
    bench = Bench("many", flow)
    cores = bench.mesh.cores
    votes = [
        [bench.token(core, Token.GO, 4 if core == 5 else 16 if core == 9 else 0) for core in range(cores)],
        [bench.token(core, Token.GO) for core in range(cores)],
        [bench.token(core, Token.GO, 8 if core == 0 else 0) for core in reversed(range(cores))],
    ]
    bench.host([bench.command(Command.VOTERS, cores)])

    async def cores_vote(ctx):
        await ctx.tick().repeat(30)
        for n, round_of_votes in enumerate(votes):
            for packet in round_of_votes:
                assert len(bench.passed) == n
                ctx.set(bench.design.down.flit, {"data": packet[0], "last": 1})
                ctx.set(bench.design.down.valid, 1)
                await ctx.tick()
                ctx.set(bench.design.down.valid, 0)
                await ctx.tick().repeat(3)
            while len(bench.passed) == n:
                await ctx.tick()

    bench.play.during(cores_vote)
    bench.play.run()
    wanted = [TOKEN.pack(mode=Mode.BROADCAST, packet=Packet.TOKEN, token=Token.GO, value=v) for v in (20, 0, 8)]
    assert bench.passed == wanted


def test_new_voters_forget_old_votes():
    bench = Bench("many")

    async def run(ctx):
        put = bench.play.put

        async def vote(core, value):
            ctx.set(bench.design.down.flit, {"data": bench.token(core, Token.GO, value)[0], "last": 1})
            ctx.set(bench.design.down.valid, 1)
            await ctx.tick()
            ctx.set(bench.design.down.valid, 0)
            await ctx.tick().repeat(4)

        async def voters(count):
            await put(ctx, bench.design.i, [{"data": bench.command(Command.VOTERS, count)[0], "last": 1}])

        await voters(3)
        await vote(0, 4)
        await voters(2)
        await vote(1, 0)
        assert not bench.passed
        await vote(2, 0)

    bench.play.during(run)
    bench.play.run()
    assert bench.passed == [TOKEN.pack(mode=Mode.BROADCAST, packet=Packet.TOKEN, token=Token.GO)]
