"""Rows from core to core: the sender alone, the queue alone, and both with the network's ends between them."""

import random
from contextlib import nullcontext
from dataclasses import replace

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tests.hw.noc.play import Play, unpacked
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import HEADER, ROWS, Packet, Packing, Rows
from trident.hw.isa.spaces import Space
from trident.hw.lib.streams import connect, random_stalls
from trident.hw.noc.eject import Ejector
from trident.hw.noc.inject import Injector
from trident.hw.noc.rows import CREDITS, FLUSH_AFTER, RowQueue, RowSender

_MEMORIES = {"weight_rows": 64, "spike_words": 32, "error_words": 32, "gradient_bits": 16}
# Rows of 16, 32, 64 and 128 bits in flits of 32 and 128
CASES = {
    "two rows in a flit": (CoreConfig(lanes=1, **_MEMORIES), MeshConfig(packet=4, buffers=8)),
    "eight rows in a flit": (CoreConfig(lanes=1, **_MEMORIES), MeshConfig(flit=128, packet=3, buffers=4)),
    "a row in a flit": (CoreConfig(lanes=2, **_MEMORIES), MeshConfig(packet=8, buffers=8)),
    "a row in two flits": (CoreConfig(lanes=4, **_MEMORIES), MeshConfig(packet=8, buffers=8)),
    "a row in four flits": (CoreConfig(lanes=8, **_MEMORIES), MeshConfig(packet=5, buffers=8)),
}
# Those, and gradients of 48 bits, which are three rows each
FINAL = CASES | {
    f"{name}, exact": (replace(cfg, gradient_bits=48), replace(mesh, packet=16, buffers=16))
    for name, (cfg, mesh) in CASES.items()
}
TARGET = 1 << 2 | 2 << 5


def _rows(cfg: CoreConfig, count: int, seed: int = 0) -> list[int]:
    rng = random.Random(seed)
    return [rng.getrandbits(cfg.row_bits) for _ in range(count)]


class Sending:
    """Drives a RowSender: a job after another, each with its rows; credits come back late."""

    def __init__(self, case: str, flow: float, seed: int = 0):
        self.cfg, self.mesh = FINAL[case]
        self.packing = Packing(self.mesh, self.cfg.row_bits)
        self.design = RowSender(self.cfg, self.mesh)
        self.play = Play(self.design, flow, seed)
        self.flits = self.play.take(self.design.o, lambda payload: (payload.data, payload.last))
        self.owed, self.ended = 0, 0

    def packets(self) -> list[list[int]]:
        found, packet = [], []
        for data, last in self.flits.values:
            packet.append(data)
            if last:
                found.append(packet)
                packet = []
        assert not packet, "a packet without an end"
        return found

    async def credits(self, ctx):
        """Give a credit for a packet some time after it has come; never are more than CREDITS under way."""
        given = 0
        while True:
            begun = sum(not n or self.flits.values[n - 1][1] for n in range(len(self.flits.values)))
            assert begun - given <= CREDITS, "a packet more than the queue has places for"
            ctx.set(self.design.credit, 0)
            if given < sum(last for _, last in self.flits.values) and self.play.random.random() < 0.2:
                ctx.set(self.design.credit, 1)
                given += 1
            await ctx.tick()

    async def job(self, ctx, rows, **fields):
        design = self.design
        ctx.set(design.job, dict(fields))
        ctx.set(design.start, 1)
        await ctx.tick()
        ctx.set(design.start, 0)
        ctx.set(design.ending, 0)
        await self.play.put(ctx, design.i, rows)
        ctx.set(design.ending, 1)
        for _ in range(3000):
            await ctx.tick()
            if not ctx.get(design.busy):
                break
        assert not ctx.get(design.busy), "rows are held for ever"
        ctx.set(design.ending, 0)


@pytest.mark.parametrize("flow", [1.0, 0.5])
@pytest.mark.parametrize("case", CASES)
def test_sender_makes_packets_as_long_as_they_can_be(case, flow):
    sending = Sending(case, flow)
    packing, cfg, mesh = sending.packing, sending.cfg, sending.mesh
    longest = packing.per_packet
    counts = [1, longest, longest + 1, 2 * longest + 3, 3]
    jobs = [_rows(cfg, count, n) for n, count in enumerate(counts)]

    async def run(ctx):
        for n, rows in enumerate(jobs):
            await sending.job(ctx, rows, target=TARGET, channel=n & 1)

    sending.play.during(run)
    sending.play.beside(sending.credits)
    sending.play.run()
    packets = iter(sending.packets())
    for n, rows in enumerate(jobs):
        found = []
        while len(found) < len(rows):
            header, *flits = next(packets)
            fields = ROWS.unpack([header])
            assert (header & 0xFF, fields["packet"], fields["channel"]) == (TARGET, Packet.ROWS, n & 1)
            part = unpacked(flits, fields["rest"], cfg.row_bits, packing.per_flit, packing.pieces, mesh.flit)
            whole = min(longest, len(rows) - len(found))
            assert len(part) == whole if flow == 1 else len(part) <= whole
            found += part
        assert found == rows
    assert next(packets, None) is None


@pytest.mark.parametrize("case", CASES)
def test_rows_do_not_wait_for_others(case):
    """What is there leaves when no row comes for some cycles, though more will come."""
    sending = Sending(case, 1.0)
    design, rows = sending.design, _rows(sending.cfg, 7)

    async def run(ctx):
        ctx.set(design.job, {"target": TARGET})
        for n in (0, 1, 4, 6):
            await sending.play.put(ctx, design.i, rows[n : {0: 1, 1: 4, 4: 6, 6: 7}[n]])
            await ctx.tick().repeat(FLUSH_AFTER + 80)

    sending.play.during(run)
    sending.play.beside(sending.credits)
    sending.play.run()
    packing = sending.packing
    parts = [
        unpacked(flits, ROWS.unpack([header])["rest"], sending.cfg.row_bits, packing.per_flit, packing.pieces,
                 sending.mesh.flit)
        for header, *flits in sending.packets()
    ]  # fmt: skip
    assert [row for part in parts for row in part] == rows
    assert len(parts) >= 4


@pytest.mark.parametrize("pause", [1, FLUSH_AFTER + 20])
@pytest.mark.parametrize("case", FINAL)
def test_sender_writes_final_rows_into_gradient_memories(case, pause):
    """Packets of whole elements, of one row each or of several, from the job's first tile on, also when rows stay away
    for a while in the middle of an element; no credit is needed."""
    sending = Sending(case, 0.7)
    cfg, mesh = sending.cfg, sending.mesh
    parts, tile = cfg.sum_rows, 3
    rows = _rows(cfg, 23 * parts)

    async def run(ctx):
        ctx.set(sending.design.job, {"target": TARGET, "final": 1, "tile": tile})
        ctx.set(sending.design.start, 1)
        await ctx.tick()
        ctx.set(sending.design.start, 0)
        await sending.play.put(ctx, sending.design.i, rows[:8])
        await ctx.tick().repeat(pause)
        await sending.play.put(ctx, sending.design.i, rows[8:])
        ctx.set(sending.design.ending, 1)
        await ctx.tick().repeat(100)
        assert not ctx.get(sending.design.busy), "rows are held for ever"

    sending.play.during(run)
    sending.play.run()
    pieces, address, found = -(-cfg.row_bits * parts // mesh.flit), tile * cfg.lanes, []
    for header, *flits in sending.packets():
        fields = HEADER.unpack([header])
        assert (header & 0xFF, fields["packet"], fields["space"]) == (TARGET, Packet.WRITE, Space.GRADIENTS)
        assert fields["address"] == address
        assert len(flits) % pieces == 0
        for at in range(0, len(flits), pieces):
            found.append(sum(data << mesh.flit * n for n, data in enumerate(flits[at : at + pieces])))
        address += len(flits) // pieces
    elements = [rows[n : n + parts] for n in range(0, len(rows), parts)]
    assert found == [sum(row << cfg.row_bits * n for n, row in enumerate(element)) for element in elements]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("flow", [1.0, 0.3])
def test_queue_gives_a_credit_for_every_packet(case, flow):
    cfg, mesh = CASES[case]
    packing, rng = Packing(mesh, cfg.row_bits), random.Random(1)
    design = RowQueue(cfg, mesh)
    play = Play(design, flow)
    out, credits = play.take(design.o), play.take(design.credits, lambda payload: (payload.data, payload.last))
    packets = [_rows(cfg, rng.randint(1, packing.per_packet), n) for n in range(12)]

    async def give(ctx):
        ctx.set(design.source, TARGET)
        for n, rows in enumerate(packets):
            while n - len(credits.values) >= CREDITS:  # as the sender does
                await ctx.tick()
            items = [{"item": row, "last": m == len(rows) - 1} for m, row in enumerate(rows)]
            for item in items:
                ctx.set(design.i.payload, item)
                ctx.set(design.i.valid, 1)
                assert ctx.get(design.i.ready), "rows have to wait"
                await ctx.tick()
                ctx.set(design.i.valid, 0)

    play.during(give)
    play.run(300)
    assert out.values == [row for rows in packets for row in rows]
    assert credits.values == [(TARGET | Packet.CREDIT << 8, 1)] * len(packets)


class Pair(wiring.Component):
    """Two cores' ends of the network and what passes rows between them; links without a router."""

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.cfg, self.mesh = cfg, mesh
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "ending": In(1), "busy": Out(1), "queue_busy": Out(1),
            "i": In(stream.Signature(cfg.row_bits)), "o": Out(stream.Signature(cfg.row_bits)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.sender = sender = RowSender(self.cfg, self.mesh)
        m.submodules.queue = queue = RowQueue(self.cfg, self.mesh)
        m.submodules.there = there = Injector(self.mesh, 1)
        m.submodules.back = back = Injector(self.mesh, 1)
        m.submodules.receiver = receiver = Ejector(self.cfg, self.mesh)
        m.submodules.credited = credited = Ejector(self.cfg, self.mesh)
        connect(m, sender.o, there.i[0])
        connect(m, queue.credits, back.i[0])
        wiring.connect(m, there.o, receiver.i)
        wiring.connect(m, back.o, credited.i)
        connect(m, receiver.rows[Rows.PARTIALS], queue.i)
        connect(m, wiring.flipped(self.i), sender.i)
        connect(m, queue.o, wiring.flipped(self.o))
        m.d.comb += [
            sender.job.eq(self.job), sender.start.eq(self.start), sender.ending.eq(self.ending),
            sender.credit.eq(credited.credit), self.busy.eq(sender.busy), self.queue_busy.eq(queue.busy),
        ]  # fmt: skip
        return m


@pytest.mark.parametrize("stalls", [None, 5])
@pytest.mark.parametrize("flow", [1.0, 0.2])
@pytest.mark.parametrize("case", CASES)
def test_back_to_back(case, flow, stalls):
    """Any number of rows, job after job: none is lost, all are in order, and at the end nothing is held."""
    cfg, mesh = CASES[case]
    longest = Packing(mesh, cfg.row_bits).per_packet
    jobs = [_rows(cfg, count, count) for count in (1, longest, 2 * longest + 1, 4 * longest, 2)]
    with random_stalls(stalls) if stalls is not None else nullcontext():
        design = Pair(cfg, mesh)
        play = Play(design, flow, seed=2)
        out = play.take(design.o)

        async def run(ctx):
            for rows in jobs:
                ctx.set(design.job, {"target": TARGET, "channel": Rows.PARTIALS})
                ctx.set(design.ending, 0)
                await play.put(ctx, design.i, rows)
                ctx.set(design.ending, 1)
                await ctx.tick()
                while ctx.get(design.busy):
                    await ctx.tick()

        play.during(run)
        play.run()
    assert out.values == [row for rows in jobs for row in rows]
