"""Plays packets on the links of a router or a mesh and keeps the score of what comes out."""

from collections import deque
from random import Random

import cocotb

from tests.cocotb.clocked import Clocked
from tests.cocotb.simulate import load_case, report
from trident.hw.isa.mesh import MeshConfig

LIMIT = 3000  # cycles in which nothing arrives though something is under way
NUMBER = 8  # lowest bit of a packet's number in its flits; a first flit has its route below, the others their place


class Score:
    """What is under way and what has arrived."""

    def __init__(self, case: dict, mesh: MeshConfig):
        self.packets, self.mesh = case["packets"], mesh
        self.due = {}  # per destination, channel and source the numbers of packets in order
        for number, packet in enumerate(self.packets):
            for to in packet["to"]:
                self.due.setdefault((to, packet["channel"], packet["source"]), deque()).append(number)
        self.open = sum(len(packet["to"]) for packet in self.packets)
        self.arriving = {}  # per destination: number and flits so far
        self.left = {}  # per packet the cycle of its first flit at the source
        self.flits = 0

    def flit(self, packet: dict, number: int, place: int) -> int:
        """The flit of that place in a packet, ``last`` in the highest bit."""
        low = packet["route"] if place == 0 else place
        return (place == packet["length"] - 1) << self.mesh.flit | number << NUMBER | low

    def arrive(self, cycle: int, to: int, flit: int, channel: int) -> str | None:
        """A flit comes out of a link; returns what is wrong with it."""
        number = flit >> NUMBER & (1 << 20) - 1
        self.flits += 1
        what = f"cycle {cycle}, out of link {to}: flit {flit:#x}"
        if number >= len(self.packets):
            return f"{what} belongs to no packet"
        packet = self.packets[number]
        if to not in packet["to"]:
            return f"{what} of packet {number} belongs to {packet['to']}"
        if number not in self.left:
            return f"{what} of packet {number}, which was not sent yet"
        first, place = self.arriving.get(to, (number, 0))
        if first != number:
            return f"{what} of packet {number} in the middle of packet {first}"
        if flit != self.flit(packet, number, place) or channel != packet["channel"]:
            return f"{what} in channel {channel} is not flit {place} of packet {number}, channel {packet['channel']}"
        if place == 0:
            queue = self.due[to, channel, packet["source"]]
            if not queue or queue.popleft() != number:
                return f"{what} of packet {number} is out of order or repeated"
        self.arriving[to] = (number, place + 1)
        if place == packet["length"] - 1:
            del self.arriving[to]
            self.open -= 1
        return None


class Ends:
    """Senders and receivers, one of each per link."""

    def __init__(self, case: dict, mesh: MeshConfig, score: Score):
        self.mesh, self.score, self.random = mesh, score, Random(case["seed"])
        self.gap, self.slow = case["gap"], case["slow"]
        links = range(case["links"])
        self.waiting = [deque() for _ in links]
        for number, packet in enumerate(case["packets"]):
            self.waiting[packet["source"]].append(number)
        self.place = [0 for _ in links]
        self.room = [[mesh.buffers] * mesh.channels for _ in links]
        self.held = [[0] * mesh.channels for _ in links]  # flits that receivers hold
        self.last_heard = 0
        self.max_wait, self.since = case.get("max_wait"), [0 for _ in links]
        self.latency = {}  # by packet: cycles from its first flit in to its first flit out

    def receive(self, cycle: int, valid: int, flits: int, channels: int) -> tuple[int, str | None]:
        """Take what comes out in this cycle; returns the credits to give and what is wrong."""
        mesh, credits = self.mesh, 0
        channel_bits = max((mesh.channels - 1).bit_length(), 1)
        for n in range(len(self.held)):
            if valid >> n & 1:
                channel = channels >> n * channel_bits & (1 << channel_bits) - 1
                flit = flits >> n * (mesh.flit + 1) & (2 << mesh.flit) - 1
                starts = n not in self.score.arriving
                if wrong := self.score.arrive(cycle, n, flit, channel):
                    return 0, wrong
                if starts:
                    number = flit >> NUMBER & (1 << 20) - 1
                    self.latency.setdefault(number, cycle - self.score.left[number])
                self.held[n][channel] += 1
                if self.held[n][channel] > mesh.buffers:
                    return 0, f"cycle {cycle}: link {n} got more than its {mesh.buffers} places hold"
                self.last_heard = cycle
                if self.max_wait and (wrong := self._wait(cycle, flit)):
                    return 0, wrong
            for channel, held in enumerate(self.held[n]):
                if held and self.random.random() >= self.slow:
                    self.held[n][channel] -= 1
                    credits |= 1 << n * mesh.channels + channel
        return credits, None

    def _wait(self, cycle: int, flit: int) -> str | None:
        """A flit came: was another link kept waiting for too long?"""
        if flit >> self.mesh.flit:
            source = self.score.packets[flit >> NUMBER & (1 << 20) - 1]["source"]
            for n, waiting in enumerate(self.waiting):
                self.since[n] = self.since[n] + 1 if waiting and n != source else 0
                if self.since[n] > self.max_wait:
                    return f"cycle {cycle}: link {n} waits while {self.since[n]} packets of others come out"
        return None

    def send(self, cycle: int, credits: int) -> tuple[int, int, int, str | None]:
        """What goes in in this cycle, with the credits that came: valid, flits, channels and what is wrong."""
        mesh, valid, flits, channels = self.mesh, 0, 0, 0
        channel_bits = max((mesh.channels - 1).bit_length(), 1)
        for n, waiting in enumerate(self.waiting):
            for channel in range(mesh.channels):
                self.room[n][channel] += credits >> n * mesh.channels + channel & 1
                if self.room[n][channel] > mesh.buffers:
                    return 0, 0, 0, f"cycle {cycle}: link {n} freed a place that was free"
            if not waiting or self.random.random() < self.gap:
                continue
            number = waiting[0]
            packet, place = self.score.packets[number], self.place[n]
            channel = packet["channel"]
            needed = mesh.packet if packet["length"] > 1 else 1
            if place == 0 and (packet["at"] > cycle or self.room[n][channel] < needed):
                continue
            self.room[n][channel] -= 1
            valid |= 1 << n
            channels |= channel << n * channel_bits
            flits |= self.score.flit(packet, number, place) << n * (mesh.flit + 1)
            if place == 0:
                self.score.left[number] = cycle
            self.place[n] += 1
            if self.place[n] == packet["length"]:
                waiting.popleft()
                self.place[n] = 0
        return valid, flits, channels, None


@cocotb.test()
async def links(dut):
    """All packets, each delivered where it belongs, once, whole, in order; all places free again at the end."""
    case = load_case()
    mesh = MeshConfig(**case["mesh"])
    clock = Clocked(dut)
    await clock.reset()
    for core, group, mask in case["tables"]:
        dut.table_en.value, dut.table_address.value, dut.table_data.value = 1 << core, group, mask
        await clock.tick()
    dut.table_en.value = 0
    clock.cycle = 0
    score = Score(case, mesh)
    ends = Ends(case, mesh, score)
    wrong, idle = None, 0
    while not wrong and idle < 100:  # some cycles more, in which nothing may come
        await clock.settle()
        given, wrong = ends.receive(
            clock.cycle, int(dut.o_valid.value), int(dut.o_flit.value), int(dut.o_channel.value)
        )
        if wrong:
            break
        dut.i_credit.value = given
        valid, flits, channels, wrong = ends.send(clock.cycle, int(dut.o_credit.value))
        dut.i_valid.value, dut.i_flit.value, dut.i_channel.value = valid, flits, channels
        if valid:
            ends.last_heard = clock.cycle
        if not wrong and score.open and clock.cycle - ends.last_heard > LIMIT:
            wrong = f"cycle {clock.cycle}: {score.open} deliveries are missing, and nothing moves"
        idle = 0 if score.open else idle + 1
        await clock.tick()
    if not wrong and any(room != [mesh.buffers] * mesh.channels for room in ends.room):
        wrong = f"places that were never freed: {ends.room}"
    if not wrong and case.get("latency"):
        found = [ends.latency[number] for number in range(len(score.packets))]
        if found != case["latency"]:
            wrong = f"latencies {found} instead of {case['latency']}"
    report(len(score.packets), score.flits, wrong)
