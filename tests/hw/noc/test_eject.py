"""The ejector: what every packet does to a core, in the order in which packets come."""

import random
from contextlib import nullcontext

import numpy as np
import pytest

from tests.hw.noc.play import Play, packed
from trident.host.driver.packets import Packets
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.isa.packets import ANSWER, ROWS, TOKEN, Mode, Packet, Packing, Rows
from trident.hw.isa.spaces import Space, space_bits
from trident.hw.isa.tokens import Token
from trident.hw.lib.streams import random_stalls
from trident.hw.noc.eject import Ejector

_MEMORIES = {"weight_rows": 64, "spike_words": 64, "error_words": 64}
# Spike words of 4, 24, 64 bits; rows of 16, 64, 128 bits
CASES = {
    "narrow": (CoreConfig(lanes=1, timesteps=4, **_MEMORIES), MeshConfig(width=3, height=2)),
    "two flits": (CoreConfig(lanes=4, timesteps=6, **_MEMORIES), MeshConfig(width=3, height=2, channels=3)),
    "narrow links": (CoreConfig(lanes=1, timesteps=4, **_MEMORIES), MeshConfig(width=3, height=2, phit=16)),
    "wide": (CoreConfig(lanes=8, timesteps=8, standardise=True, **_MEMORIES), MeshConfig(width=3, height=2)),
    "wide flits": (CoreConfig(lanes=4, timesteps=6, **_MEMORIES), MeshConfig(width=3, height=2, flit=128)),
}
ROUTE = 2 << 2 | 1 << 5  # to (2, 1)
READABLE = [Space.WEIGHTS, Space.SPIKES, Space.REGISTERS]


class Bench:
    """An ejector with memories, streams and a sequencer that only log what they are told."""

    def __init__(self, case: str, flow: float, seed: int = 0, stalls: int | None = None):
        self.cfg, mesh = CASES[case]
        self.mesh = mesh_for(self.cfg, mesh)
        self.bits = space_bits(self.cfg)
        self.packets = Packets(self.cfg, self.mesh)
        self.spikes, self.rows = Packing(self.mesh, self.cfg.spike_bits), Packing(self.mesh, self.cfg.row_bits)
        with random_stalls(stalls) if stalls is not None else nullcontext():
            self.design = Ejector(self.cfg, self.mesh)
        self.rng = random.Random(seed)
        self.play = Play(self.design, flow, seed)
        self.memory: dict[tuple[int, int], int] = {}
        design, play = self.design, self.play
        self.log = []  # events in order
        self.answers = play.take(design.answer, lambda payload: (payload.data, payload.last))
        self.queues = [play.take(stream, lambda payload: (payload.item, payload.last)) for stream in design.rows]
        play.beside(self._observe)

    async def _observe(self, ctx):
        """Answers reads a cycle later, takes spikes in some cycles, notes everything else."""
        design = self.design
        ctx.set(design.x, 2)
        ctx.set(design.y, 1)
        while True:
            ready = self.play.goes()
            ctx.set(design.word_ready, ready)
            _, _, select, write, address, data, word_en, at, word, token_en, token, value = await ctx.tick().sample(
                design.select, design.write, design.address, design.wdata, design.word_en, design.word_address,
                design.word, design.token_en, design.token, design.value,
            )  # fmt: skip
            if word_en and ready:
                self.log.append(("word", at, word))
            if token_en:
                self.log.append(("token", token, value))
            if select:
                space = select.bit_length() - 1
                assert select == 1 << space
                if write:
                    masked = data & (1 << self.bits[Space(space)]) - 1
                    self.memory[space, address] = masked
                    self.log.append(("write", space, address, masked))
                else:
                    ctx.set(design.rdata[space], self.memory.get((space, address), 0))

    def element(self, space: Space) -> int:
        return self.rng.getrandbits(self.bits[space])

    def split(self, value: int, words: int) -> list[int]:
        return [value >> 32 * n & 0xFFFFFFFF for n in range(words)]

    def flits(self, array) -> list[list[int]]:
        """Packets of the host as lists of payloads."""
        found, packet = [], []
        for *words, last in array.tolist():
            packet.append(sum(word << 32 * n for n, word in enumerate(words)))
            if last:
                found.append(packet)
                packet = []
        return found

    def write(self, space: Space, address: int, values: list[int]) -> list[list[int]]:
        words = -(-self.bits[space] // 32)
        return self.flits(self.packets.write(ROUTE, space, address, [self.split(value, words) for value in values]))

    def put(self, address: int, items: list[int]) -> list[int]:
        """A packet of spikes as a core makes it."""
        packing = self.spikes
        rest = (len(items) - 1) % packing.per_flit
        header = ROUTE | Packet.SPIKES << 8 | rest << 11 | address << 16
        return [header, *packed(items, packing.bits, packing.per_flit, packing.pieces, self.mesh.flit)]

    def send_rows(self, channel: int, items: list[int]) -> list[int]:
        packing = self.rows
        rest = (len(items) - 1) % packing.per_flit
        header = ROUTE | ROWS.pack(packet=Packet.ROWS, channel=channel, rest=rest)[0]
        return [header, *packed(items, packing.bits, packing.per_flit, packing.pieces, self.mesh.flit)]

    def token(self, token: Token, value: int) -> list[int]:
        return [TOKEN.pack(packet=Packet.TOKEN, token=token, value=value)[0] | ROUTE]

    def run(self, packets, settle: int = 600):
        channels = self.mesh.channels
        # Packets to one place keep to one channel
        self.play.send(self.design.i, self.mesh, packets, lambda packet: 3 % channels)
        self.play.run(settle)

    def answered(self, space: Space) -> list[int]:
        """Elements of the answers to one READ, whose packets are as long as they can be."""
        flits, packet, pieces = [], [], -(-self.bits[space] // self.mesh.flit)
        for data, last in self.answers.values:
            packet.append(data)
            if last:
                fields = ANSWER.unpack([packet[0] & 0xFFFFFFFF])
                assert (fields["mode"], fields["x"], fields["y"]) == (Mode.HOST, 2, 1)
                assert (fields["packet"], fields["kind"]) == (Packet.ANSWER, 0)
                assert len(packet) <= self.mesh.packet
                flits += packet[1:]
                packet = []
        assert not packet
        return [
            sum(data << self.mesh.flit * n for n, data in enumerate(flits[at : at + pieces]))
            & (1 << self.bits[space]) - 1
            for at in range(0, len(flits), pieces)
        ]


@pytest.mark.parametrize("flow", [1.0, 0.5])
@pytest.mark.parametrize("case", CASES)
def test_writes(case, flow):
    """Elements of every width, to every memory, in packets of one and of many."""
    bench = Bench(case, flow)
    packets, expected = [], []
    for space in bench.bits:
        if space == Space.POTENTIALS:
            continue
        for count in (1, 5):
            address = bench.rng.randrange(8)
            values = [bench.element(space) for _ in range(count)]
            packets += bench.write(space, address, values)
            expected += [("write", space, address + n, value) for n, value in enumerate(values)]
    bench.run(packets)
    assert bench.log == expected


@pytest.mark.parametrize("flow", [1.0, 0.4])
@pytest.mark.parametrize("space", READABLE)
@pytest.mark.parametrize("case", CASES)
def test_reads(case, space, flow):
    """Answers of one packet and of several, none longer than a packet may be."""
    for count in (1, 2, 7, 19):
        bench = Bench(case, flow, count)
        values = [bench.element(space) for _ in range(count)]
        bench.memory = {(space, 3 + n): value for n, value in enumerate(values)}
        bench.run(bench.flits(bench.packets.read(ROUTE, space, 3, count)), 900)
        assert bench.answered(space) == values
        packets = sum(last for _, last in bench.answers.values)
        assert packets == bench.packets.answers(space, count)


@pytest.mark.parametrize("stalls", [None, 3])
@pytest.mark.parametrize("flow", [1.0, 0.4])
@pytest.mark.parametrize("case", CASES)
def test_spikes_and_tokens_keep_their_order(case, flow, stalls):
    """A token comes after the spikes that were sent before it, however long their memory is not free."""
    bench, packets, expected = Bench(case, flow, 1, stalls), [], []
    for n, count in enumerate((1, bench.spikes.per_packet, 2, bench.spikes.per_flit, bench.spikes.per_packet - 1)):
        address = 7 * n
        items = [bench.rng.getrandbits(bench.cfg.spike_bits) for _ in range(count)]
        packets += [bench.put(address, items), bench.token(Token.INPUT_READY0, 100 + n)]
        expected += [("word", address + m, item) for m, item in enumerate(items)]
        expected.append(("token", Token.INPUT_READY0, 100 + n))
    bench.run(packets)
    assert bench.log == [(*event[:1], event[1] % (1 << len(bench.design.word_address)), *event[2:])
                         if event[0] == "word" else event for event in expected]  # fmt: skip


@pytest.mark.parametrize("flow", [1.0, 0.4])
@pytest.mark.parametrize("case", CASES)
def test_spikes_of_the_host(case, flow):
    """What host/driver/packets.py makes of spike words is what the ejector takes for them."""
    bench = Bench(case, flow, 2)
    count = 2 * bench.spikes.per_packet + 3
    words = -(-bench.cfg.spike_bits // 32)
    items = [bench.rng.getrandbits(bench.cfg.spike_bits) for _ in range(count)]
    array = bench.packets.put(ROUTE, 5, np.array([bench.split(item, words) for item in items], np.uint32))
    bench.run(bench.flits(array))
    assert bench.log == [("word", 5 + n, item) for n, item in enumerate(items)]


@pytest.mark.parametrize("flow", [1.0, 0.4])
@pytest.mark.parametrize("case", CASES)
def test_rows_go_to_their_queue(case, flow):
    bench, packets = Bench(case, flow, 3), []
    expected = [[], []]
    for n in range(10):
        channel = bench.rng.choice((Rows.ERRORS, Rows.PARTIALS))
        count = bench.rng.randint(1, bench.rows.per_packet)
        items = [bench.rng.getrandbits(bench.cfg.row_bits) for _ in range(count)]
        packets.append(bench.send_rows(channel, items))
        expected[channel] += [(item, m == count - 1) for m, item in enumerate(items)]
        packets.append(bench.token(Token.GO, n))
    bench.run(packets)
    assert [queue.values for queue in bench.queues] == expected
    assert bench.log == [("token", Token.GO, n) for n in range(10)]


@pytest.mark.parametrize("case", CASES)
def test_start_and_credit(case):
    """A START of one flit arms; of two, it starts with the number of samples."""
    bench = Bench(case, 0.7)
    design, play = bench.design, bench.play
    armed, started, credited = (
        play.watch(*signals, when=when)
        for when, signals in ((design.arm, ()), (design.start, (design.samples,)), (design.credit, ()))
    )
    packets = bench.packets
    bench.run([
        *bench.flits(packets.arm(ROUTE)), *bench.flits(packets.start(ROUTE, 65_000)), [ROUTE | Packet.CREDIT << 8],
        *bench.flits(packets.start(ROUTE, 0)), [ROUTE | Packet.CREDIT << 8],
    ])  # fmt: skip
    assert (len(armed.values), started.values, len(credited.values)) == (1, [(65_000,), (0,)], 2)


@pytest.mark.parametrize("case", CASES)
def test_halt_is_told_between_packets(case):
    """The status goes to the host, and a read that comes meanwhile is answered whole."""
    bench = Bench(case, 0.6, 4)
    design = bench.design
    values = [bench.element(Space.WEIGHTS) for _ in range(5)]
    bench.memory = {(Space.WEIGHTS, n): value for n, value in enumerate(values)}

    async def halt(ctx):
        ctx.set(design.status, 0x1234)
        await ctx.tick().repeat(12)
        ctx.set(design.halted, 1)
        await ctx.tick()
        ctx.set(design.halted, 0)

    bench.play.during(halt)
    bench.run(bench.flits(bench.packets.read(ROUTE, Space.WEIGHTS, 0, 5)), 600)
    told = [n for n, (data, last) in enumerate(bench.answers.values) if last and data == 0x1234]
    assert len(told) == 1
    header, last = bench.answers.values[told[0] - 1]
    fields = ANSWER.unpack([header])
    assert not last and (fields["packet"], fields["kind"], fields["x"], fields["y"]) == (Packet.ANSWER, 1, 2, 1)
    del bench.answers.values[told[0] - 1 : told[0] + 1]
    assert bench.answered(Space.WEIGHTS) == values
