"""Packets as records: samples are found among them, so that only their spikes and labels need to be sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.frames import HEAD, UPLOAD, Record
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import COMMAND, HEADER, PUT, TOKEN, Command, Mode, Packet, Packing
from trident.hw.isa.spaces import Space
from trident.hw.isa.tokens import Token

MOST = 1 << 6  # samples of a record
ROUTE = 0xFF  # of a header
# What images are likely to have been encoded with: the value of full intensity, and each input's first sum
SCALES = ((255, 0), (255, 127), (16, 0), (16, 8))


@dataclass(frozen=True)
class Part:
    """A record: its bytes, the header of its (first) packet, and how many flits up to its end the packets have."""

    octets: bytes
    header: int
    end: int


@dataclass(frozen=True)
class Sample:
    """What makes up a sample: the routes of the cores that are waited for, its own, its first word, how many spike
    words are in its last flit less one, its payload flits (n, words), its label."""

    waits: tuple[int, ...]
    route: int
    address: int
    rest: int
    payload: np.ndarray
    label: int


def encode_values(values: np.ndarray, timesteps: int, full: int, phase: int) -> np.ndarray:
    """Spikes uint8 (..., timesteps) of whole values within 0 to ``full``: golden of :mod:`hw.link.encoder`."""
    sums = np.arange(timesteps + 1) * values[..., None].astype(np.int64) + phase
    return np.diff(sums // full, axis=-1).astype(np.uint8)


class Records:
    """Makes records of packets for the chip of a configuration: golden of :mod:`hw.link.upload` is :meth:`expand`."""

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.cfg, self.mesh = cfg, mesh
        self.packing = Packing(mesh, cfg.spike_bits)
        self.longest = self.packing.per_packet // self.packing.per_flit * self.packing.pieces

    def make(self, flits: np.ndarray) -> list[Part]:
        """Records that become exactly these packets on the chip; flits as in :class:`Packets`."""
        ends = (np.flatnonzero(flits[:, -1]) + 1).tolist()
        bounds = list(pairwise([0, *ends]))
        parts: list[Part] = []
        at = 0
        while at < len(bounds):
            run, after = self._run(flits, bounds, at)
            if run and (made := self._upload(run, flits[bounds[at][0] : bounds[after - 1][1]], bounds[at][0])):
                parts += made
                at = after
                continue
            for start, end in bounds[at : max(after, at + 1)]:
                head = HEAD.pack(record=Record.PACKET, count=end - start - 1)[0]
                octets = bytes([head]) + flits[start:end, :-1].astype("<u4").tobytes()
                parts.append(Part(octets, int(flits[start, 0]), end))
            at = max(after, at + 1)
        return parts

    # Samples among packets
    def _run(self, flits: np.ndarray, bounds: list, at: int) -> tuple[list[Sample], int]:
        """Samples that follow each other from packet ``at`` on, and the packet after them."""
        run = []
        while found := self._sample(flits, bounds, at):
            if run and (len(found[0].payload), found[0].rest) != (len(run[0].payload), run[0].rest):
                break
            run.append(found[0])
            at = found[1]
        return run, at

    def _sample(self, flits: np.ndarray, bounds: list, at: int) -> tuple[Sample, int] | None:
        waits, payload, header = [], [], 0
        for number, (start, end) in enumerate(bounds[at : at + 2048], at):
            own, route = int(flits[start, 0]), int(flits[start, 0]) & ROUTE
            fields = COMMAND.unpack([own])
            if fields["mode"] == Mode.HOST:
                if payload or fields["packet"] != Command.WAIT or own >> 11 or end - start != 1:
                    return None
                waits.append(route)
            elif fields["packet"] == Packet.SPIKES and end - start > 1:
                header = header or own
                payload.append(flits[start + 1 : end, :-1])
                last = own
            elif payload and own == TOKEN.pack(packet=Packet.TOKEN, value=own >> 16)[0] | route:
                first = PUT.unpack([header])
                rest = PUT.unpack([last])["rest"]
                sample = Sample(tuple(waits), route, first["address"], rest, np.concatenate(payload), own >> 16)
                return sample, number + 1
            else:
                return None
        return None

    def _upload(self, run: list[Sample], flits: np.ndarray, offset: int) -> list[Part] | None:
        """SETUP and samples for a run whose packets are ``flits``; None if the chip would not make just these."""
        targets = [(sample.waits, sample.route) for sample in run]
        replicas = next((n for n in range(1, len(run)) if targets[n] == targets[0]), len(run))
        places = [sample.address for sample in run[::replicas]]
        slots = next((n for n in range(1, len(places)) if places[n] == places[0]), len(places))
        stride = places[1] - places[0] if slots > 1 else 0
        routes = [route for waits, own in targets[:replicas] for route in (*waits, own)]
        scale, values = self._values(run)
        packets = (len(run[0].payload) - 1) // self.longest
        last = len(run[0].payload) - packets * self.longest
        if slots > 16 or len(routes) > 255 or not 0 <= stride < 1 << 16 or packets >= 1 << 10:
            return None
        setup = {"packets": packets, "last": last, "rest": run[0].rest, "slots": slots - 1, "base": places[0],
                 "stride": stride, "full": scale[0], "phase": scale[1], "routes": len(routes)}  # fmt: skip
        if not np.array_equal(self.expand(setup, routes, [(s.payload, s.label) for s in run]), flits):
            return None
        words = b"".join(word.to_bytes(4, "little") for word in UPLOAD.pack(**setup))
        head = HEAD.pack(record=Record.SETUP)[0]
        header = int(flits[0, 0])
        parts = [Part(bytes([head]) + words + bytes(routes), header, offset)]
        record = Record.SPIKES if values is None else Record.VALUES
        for first in range(0, len(run), MOST):
            own = run[first : first + MOST]
            head = HEAD.pack(record=record, count=len(own) - 1)[0]
            octets = bytes([head]) + b"".join(
                (s.payload.astype("<u4").tobytes() if values is None else values[n].tobytes())
                + s.label.to_bytes(2, "little")
                for n, s in enumerate(own, first)
            )
            offset += sum(len(s.waits) + len(s.payload) + packets + 2 for s in own)
            parts.append(Part(octets, header, offset))
        return parts

    def expand(self, setup: dict[str, int], routes: list[int], samples: list[tuple[np.ndarray, int]]) -> np.ndarray:
        """The flits that the chip makes of a SETUP with these routes and of samples (payload flits, label)."""
        flits = []

        def add(word: int, last: int):
            flits.append([word, *[0] * (self.mesh.flit // 32 - 1), last])

        at = turn = 0
        for payload, label in samples:
            while routes[at] & 3 == Mode.HOST:
                add(COMMAND.pack(packet=Command.WAIT)[0] | routes[at], 1)
                at += 1
            route, address = routes[at], setup["base"] + setup["stride"] * (turn % (setup["slots"] + 1))
            for first in range(0, len(payload), self.longest):
                part = payload[first : first + self.longest].tolist()
                ends = first + self.longest >= len(payload)
                rest = setup["rest"] if ends else self.packing.per_flit - 1
                add(PUT.pack(packet=Packet.SPIKES, address=address & 0xFFFF, rest=rest)[0] | route, 0)
                flits += [[*words, int(n == len(part) - 1)] for n, words in enumerate(part)]
                address += self.packing.per_packet
            add(TOKEN.pack(packet=Packet.TOKEN, token=Token.INPUT_READY0, value=label)[0] | route, 1)
            at += 1
            if at == len(routes):
                at, turn = 0, turn + 1
        return np.array(flits, np.uint32)

    # Values instead of spikes
    @cached_property
    def _lookup(self) -> dict[tuple[int, int], np.ndarray]:
        """Per scale: the value that has the spikes whose bits are the index's, or -1; for at most 16 timesteps."""
        steps, result = self.cfg.timesteps, {}
        for full, phase in SCALES:
            values = np.arange(min(full, 255), -1, -1)
            bits = encode_values(values, steps, full, phase)
            table = np.full(1 << steps, -1, np.int16)
            table[bits @ (1 << np.arange(steps))] = values
            result[full, phase] = table
        return result

    def _values(self, run: list[Sample]) -> tuple[tuple[int, int], np.ndarray | None]:
        """A scale and values uint8 (N, inputs) that the encoder makes into the spikes of a run; None where they would
        not be shorter, or where there are none."""
        steps, packing, flit = self.cfg.timesteps, self.packing, self.mesh.flit
        used = packing.per_flit * packing.bits
        if used // steps * 8 >= packing.pieces * flit or steps > 16:
            return SCALES[0], None
        payload = np.stack([sample.payload for sample in run]).astype("<u4")
        bits = np.unpackbits(payload.view(np.uint8), axis=-1, bitorder="little")
        bits = bits.reshape(len(run), -1, packing.pieces * flit)
        if bits[..., used:].any():
            return SCALES[0], None
        patterns = bits[..., :used].reshape(len(run), -1, steps) @ (1 << np.arange(steps))
        for scale, table in self._lookup.items():
            if (values := table[patterns]).min() >= 0:
                return scale, values.astype(np.uint8)
        return SCALES[0], None


def describe(header: int, mesh: MeshConfig) -> str:
    """The packet with this header in words: what it is, its core, its memory and its address."""
    fields = HEADER.unpack([header])
    core = fields["x"] + mesh.width * fields["y"]
    if fields["mode"] == Mode.HOST:
        return f"the command {Command(fields['packet']).name} for core {core}"
    packet = Packet(fields["packet"])
    where = {Mode.UNICAST: f"to core {core}", Mode.MULTICAST: f"to group {fields['x'] + 8 * fields['y']}"}.get(
        fields["mode"], "to every core"
    )
    if packet in (Packet.WRITE, Packet.READ):
        return f"a {packet.name} {where}, {Space(fields['space']).name.lower()} from element {fields['address']}"
    if packet == Packet.SPIKES:
        return f"SPIKES {where}, spikes from word {PUT.unpack([header])['address']}"
    return f"a {packet.name} {where}"


def packets_of(octets: bytearray, mesh: MeshConfig) -> Iterator[np.ndarray]:
    """Take whole packets, (flits, words + 1) each, from the front of the bytes that a chip sent."""
    words = mesh.flit // 32
    while octets and len(octets) > (size := (octets[0] + 1) * mesh.flit // 8):
        flits = np.zeros((octets[0] + 1, words + 1), np.uint32)
        flits[:, :-1] = np.frombuffer(bytes(octets[1 : size + 1]), "<u4").reshape(-1, words)
        flits[-1, -1] = 1
        del octets[: size + 1]
        yield flits
