"""Small testbenches for the ends of the network: streams and links, with pauses by chance, in Amaranth's simulator."""

import random
from dataclasses import dataclass, field

from amaranth.sim import Simulator

from trident.hw.isa.mesh import MeshConfig


@dataclass
class Log:
    """What a sink saw, and in which cycles."""

    values: list = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)

    def add(self, value, cycle: int):
        self.values.append(value)
        self.cycles.append(cycle)


class Play:
    """Several testbenches around one design; ``run`` returns when all that were given to :meth:`during` have ended.

    flow: share of cycles in which a stream's source offers and its sink takes; seed: of the pauses.
    """

    def __init__(self, design, flow: float = 1.0, seed: int = 0, limit: int = 20_000):
        self.design, self.flow, self.limit = design, flow, limit
        self.random = random.Random(seed)
        self.cycle = 0
        self.sources, self.sinks = [], []

    def goes(self) -> bool:
        return self.random.random() < self.flow

    def during(self, bench):
        """Add a testbench ``async bench(ctx)`` that must end."""
        self.sources.append(bench)

    def beside(self, bench):
        """Add a testbench that may go on for ever."""
        self.sinks.append(bench)

    def give(self, stream, values):
        """Offer values to a stream, one after another."""
        self.during(lambda ctx: self.put(ctx, stream, values))

    async def put(self, ctx, stream, values):
        for value in values:
            while not self.goes():
                await ctx.tick()
            ctx.set(stream.payload, value)
            ctx.set(stream.valid, 1)
            await ctx.tick().until(stream.ready)
            ctx.set(stream.valid, 0)

    def take(self, stream, read=lambda payload: payload) -> Log:
        """Take what comes out of a stream."""
        log = Log()

        async def bench(ctx):
            while True:
                ctx.set(stream.ready, self.goes())
                _, _, valid, ready, payload = await ctx.tick().sample(stream.valid, stream.ready, stream.payload)
                if valid and ready:
                    log.add(read(payload), self.cycle - 1)

        self.beside(bench)
        return log

    def watch(self, *signals, when=None) -> Log:
        """The values of signals in the cycles in which ``when`` is 1."""
        log = Log()

        async def bench(ctx):
            while True:
                _, _, chosen, *values = await ctx.tick().sample(when, *signals)
                if chosen:
                    log.add(tuple(int(value) for value in values), self.cycle - 1)

        self.beside(bench)
        return log

    def send(self, link, mesh: MeshConfig, packets: list[list[int]], channel=lambda packet: 0):
        """Send packets, lists of payloads of flits, over a link as its credits allow: a packet is begun only when all
        of it finds a place."""
        credits = [mesh.link_places] * mesh.channels

        async def back(ctx):
            while True:
                _, _, credit = await ctx.tick().sample(link.credit)
                for n in range(mesh.channels):
                    credits[n] += credit >> n & 1
                assert max(credits) <= mesh.link_places, "a credit too many"

        async def bench(ctx):
            for flits in packets:
                own, packet = channel(flits), phits(flits, mesh)
                while credits[own] < len(packet) or not self.goes():
                    await ctx.tick()
                for n, data in enumerate(packet):
                    while not self.goes():
                        await ctx.tick()
                    ctx.set(link.flit, {"data": data, "last": n == len(packet) - 1})
                    ctx.set(link.channel, own)
                    ctx.set(link.valid, 1)
                    credits[own] -= 1
                    await ctx.tick()
                    ctx.set(link.valid, 0)

        self.beside(back)
        self.during(bench)

    def receive(self, link, mesh: MeshConfig) -> Log:
        """Packets that come over a link, as (channel, payloads); its places are freed at some time.

        Asserts that no flit comes without a place, and that packets do not interleave.
        """
        log, held, packet = Log(), [0] * mesh.channels, []

        async def bench(ctx):
            while True:
                freed = 0
                for n in range(mesh.channels):
                    if held[n] and self.goes():
                        freed |= 1 << n
                        held[n] -= 1
                ctx.set(link.credit, freed)
                _, _, valid, flit, channel = await ctx.tick().sample(link.valid, link.flit, link.channel)
                if not valid:
                    continue
                held[channel] += 1
                assert held[channel] <= mesh.link_places, "a flit without a place"
                packet.append((channel, flit.data))
                if flit.last:
                    assert len({own for own, _ in packet}) == 1, "packets interleave"
                    assert len(packet) <= mesh.link_packet
                    log.add((packet[0][0], flits_of([data for _, data in packet], mesh)), self.cycle - 1)
                    packet.clear()

        self.beside(bench)
        return log

    def run(self, settle: int = 60):
        """Simulate until every source has ended, and ``settle`` cycles more."""
        simulator = Simulator(self.design)
        simulator.add_clock(1e-6)
        ended = []

        def ending(bench):
            async def wrapped(ctx):
                await bench(ctx)
                ended.append(bench)

            return wrapped

        async def count(ctx):
            last = None
            while True:
                await ctx.tick()
                self.cycle += 1
                if len(ended) == len(self.sources):
                    last = last or self.cycle
                    if self.cycle - last >= settle:
                        return
                assert self.cycle < self.limit, "the sources cannot give what they have"

        simulator.add_testbench(count)  # first, so that at an edge all see the number of the cycle that begins
        for bench in self.sources:
            simulator.add_testbench(ending(bench), background=True)
        for bench in self.sinks:
            simulator.add_testbench(bench, background=True)
        simulator.run()


def phits(flits: list[int], mesh: MeshConfig) -> list[int]:
    """The parts in which flits go over a link."""
    return [flit >> mesh.link_bits * n & (1 << mesh.link_bits) - 1 for flit in flits for n in range(mesh.phits)]


def flits_of(parts: list[int], mesh: MeshConfig) -> list[int]:
    """The inverse."""
    assert len(parts) % mesh.phits == 0
    whole = [parts[n : n + mesh.phits] for n in range(0, len(parts), mesh.phits)]
    return [sum(part << mesh.link_bits * n for n, part in enumerate(flit)) for flit in whole]


def packed(items: list[int], bits: int, per: int, pieces: int, flit: int) -> list[int]:
    """Payloads of the flits of items: ``per`` in each, or ``pieces`` for each; the reference of hw/noc/packing.py."""
    if pieces > 1:
        return [item >> flit * n & (1 << flit) - 1 for item in items for n in range(pieces)]
    return [
        sum(item << bits * n for n, item in enumerate(items[at : at + per])) for at in range(0, len(items), per)
    ]


def unpacked(flits: list[int], rest: int, bits: int, per: int, pieces: int, flit: int) -> list[int]:
    """The inverse; ``rest``: items of the last flit, less one."""
    if pieces > 1:
        return [
            sum(data << flit * n for n, data in enumerate(flits[at : at + pieces])) & (1 << bits) - 1
            for at in range(0, len(flits), pieces)
        ]
    count = (len(flits) - 1) * per + rest + 1
    items = [data >> bits * n & (1 << bits) - 1 for data in flits for n in range(per)]
    return items[:count]
