"""What a core tells others: spikes in runs and packets, labels, tokens."""

import random

import pytest

from tests.hw.noc.play import Play, unpacked
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import PUT, TOKEN, Packet, Packing
from trident.hw.isa.tokens import NO_TOKEN, Token
from trident.hw.units.transfer import NotifyUnit, SendUnit

_MEMORIES = {"weight_rows": 64, "spike_words": 256, "error_words": 64}
# Spike words of 4, 8, 24, 64 bits in flits of 32 and 128
CASES = {
    "eight in a flit": (CoreConfig(lanes=1, timesteps=4, **_MEMORIES), MeshConfig(packet=4)),
    "one in a flit": (CoreConfig(lanes=4, timesteps=6, **_MEMORIES), MeshConfig(packet=4)),
    "two flits": (CoreConfig(lanes=8, timesteps=8, **_MEMORIES), MeshConfig(packet=8)),
    "wide flits": (CoreConfig(lanes=2, timesteps=4, **_MEMORIES), MeshConfig(flit=128, packet=3)),
}
TARGET = 3 << 2 | 1 << 5 | 1


def _packets(log) -> list[list[int]]:
    found, packet = [], []
    for data, last in log.values:
        packet.append(data)
        if last:
            found.append(packet)
            packet = []
    assert not packet
    return found


@pytest.mark.parametrize("flow", [1.0, 0.4])
@pytest.mark.parametrize("case", CASES)
def test_spikes_go_to_their_places(case, flow):
    """Jobs of one run and of several, shorter and longer than a packet; then the label, unless there is no token."""
    cfg, mesh = CASES[case]
    packing, rng = Packing(mesh, cfg.spike_bits), random.Random(1)
    design = SendUnit(cfg, mesh)
    play = Play(design, flow, seed=2)
    out = play.take(design.o, lambda payload: (payload.data, payload.last))
    memory = [rng.getrandbits(cfg.spike_bits) for _ in range(cfg.spike_words)]
    longest = packing.per_packet
    jobs = [
        {"src": 3, "dst": 20, "count": 1, "groups": 1, "blocks": 0, "token": Token.INPUT_READY2},
        {"src": 5, "dst": 40, "count": 1, "groups": longest, "blocks": 0, "token": NO_TOKEN},
        {"src": 7, "dst": 60, "count": 1, "groups": 2 * longest + 1, "blocks": 0, "token": Token.INPUT_READY0},
        {"src": 0, "dst": 9, "count": 5, "groups": 3, "blocks": 7, "token": Token.INPUT_READY1},
        {"src": 30, "dst": 2, "count": 3, "groups": longest + 2, "blocks": 50, "token": NO_TOKEN},
    ]

    async def spikes(ctx):
        """The memory: it is not always free; its word comes a cycle later and stays for that cycle only."""
        while True:
            grant = ctx.get(design.spike_request) and play.goes()
            ctx.set(design.spike_grant, grant)
            address = ctx.get(design.spike_address)
            await ctx.tick()
            ctx.set(design.spikes, memory[address % len(memory)] if grant else ~memory[address % len(memory)])

    async def run(ctx):
        for n, job in enumerate(jobs):
            ctx.set(design.job, {**job, "target": TARGET})
            ctx.set(design.label, 500 + n)
            ctx.set(design.start, 1)
            await ctx.tick()
            ctx.set(design.start, 0)
            while ctx.get(design.busy):
                await ctx.tick()

    play.beside(spikes)
    play.during(run)
    play.run()
    packets = iter(_packets(out))
    for n, job in enumerate(jobs):
        read = job["src"]
        for part in range(job["count"]):
            at, left = job["dst"] + part * job["blocks"], job["groups"]
            while left:
                header, *flits = next(packets)
                fields = PUT.unpack([header])
                assert (header & 0xFF, fields["packet"], fields["address"]) == (TARGET, Packet.SPIKES, at)
                assert len(flits) < mesh.packet
                found = unpacked(flits, fields["rest"], packing.bits, packing.per_flit, packing.pieces, mesh.flit)
                assert len(found) == min(left, longest)
                assert found == memory[read : read + len(found)]
                at, read, left = at + len(found), read + len(found), left - len(found)
        if job["token"] != NO_TOKEN:
            (header,) = next(packets)
            fields = TOKEN.unpack([header])
            assert (header & 0xFF, fields["packet"], fields["token"], fields["value"]) == (
                TARGET, Packet.TOKEN, job["token"], 500 + n,
            )  # fmt: skip
    assert next(packets, None) is None


@pytest.mark.parametrize("flow", [1.0, 0.3])
def test_notify_gives_one_token_with_the_faults(flow):
    mesh = MeshConfig()
    design = NotifyUnit(mesh)
    play = Play(design, flow)
    out = play.take(design.o, lambda payload: (payload.data, payload.last))

    async def run(ctx):
        for n in range(5):
            ctx.set(design.job, {"target": TARGET, "token": Token.GO if n % 2 else Token.NEXT_FREE1})
            ctx.set(design.faults, 4 * n)
            ctx.set(design.start, 1)
            await ctx.tick()
            ctx.set(design.start, 0)
            assert ctx.get(design.busy)
            while ctx.get(design.busy):
                await ctx.tick()

    play.during(run)
    play.run()
    wanted = [
        TOKEN.pack(packet=Packet.TOKEN, token=Token.GO if n % 2 else Token.NEXT_FREE1, value=4 * n)[0] | TARGET
        for n in range(5)
    ]
    assert out.values == [(header, 1) for header in wanted]
