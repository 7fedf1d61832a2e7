"""Packets as arrays of flits, and back."""

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import SAMPLE_BITS
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import ANSWER, COMMAND, HEADER, PUT, TOKEN, Command, Mode, Packet, Packing
from trident.hw.isa.spaces import Space, space_bits
from trident.hw.isa.tokens import Token


class Packets:
    """Makes the packets that a host sends to a chip.

    A flit is a row of uint32: its words, lowest first, and 1 if it is its packet's last, else 0. Elements are rows of
    32-bit words, as many as their bits need. A route is the low 8 bits of a header.
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.mesh = mesh
        self.words = mesh.flit // 32  # of a flit
        self.pieces = {space: -(-bits // mesh.flit) for space, bits in space_bits(cfg).items()}
        self.spikes = Packing(mesh, cfg.spike_bits)

    def _flits(self, rows: int) -> np.ndarray:
        return np.zeros((rows, self.words + 1), np.uint32)

    def single(self, header: int) -> np.ndarray:
        """A packet of one flit."""
        flits = self._flits(1)
        flits[0, 0], flits[0, -1] = header, 1
        return flits

    def pair(self, header: int, value: int) -> np.ndarray:
        """A packet of a header and one more flit."""
        flits = self._flits(2)
        flits[:, 0], flits[1, -1] = (header, value), 1
        return flits

    def _cut(self, payload: np.ndarray, longest: int, headers: np.ndarray) -> np.ndarray:
        """Packets of ``longest`` payload flits, the last one of what is left."""
        count = len(headers)
        at = np.arange(len(payload))
        place = at + at // longest + 1
        flits = self._flits(len(payload) + count)
        flits[place, :-1] = payload
        flits[np.arange(count) * (longest + 1), 0] = headers
        ends = np.minimum((np.arange(count) + 1) * (longest + 1), len(flits)) - 1
        flits[ends, -1] = 1
        return flits

    def write(self, route: int, space: Space, address: int, elements: np.ndarray) -> np.ndarray:
        """Write elements, uint32 (n, words), from ``address`` on."""
        pieces = self.pieces[space]
        elements = np.ascontiguousarray(elements, np.uint32).reshape(len(elements), -1)
        if not len(elements):
            return self._flits(0)
        full = np.zeros((len(elements), pieces * self.words), np.uint32)
        full[:, : elements.shape[1]] = elements
        each = (self.mesh.packet - 1) // pieces
        first = np.arange(0, len(elements), each) + address
        base = HEADER.pack(packet=Packet.WRITE, space=space, address=0)[0] | route
        return self._cut(full.reshape(-1, self.words), each * pieces, base | first.astype(np.uint32) << 15)

    def read(self, route: int, space: Space, address: int, count: int) -> np.ndarray:
        """Ask for ``count`` elements from ``address`` on, at most 65,535."""
        return self.pair(HEADER.pack(packet=Packet.READ, space=space, address=address)[0] | route, count)

    def answers(self, space: Space, count: int) -> int:
        """Packets that answer a :meth:`read`."""
        return -(-count * self.pieces[space] // (self.mesh.packet - 1))

    def arm(self, route: int) -> np.ndarray:
        """Set the tokens to their first counts."""
        return self.single(HEADER.pack(packet=Packet.START)[0] | route)

    def start(self, route: int, samples: int) -> np.ndarray:
        """Run the program. Raises TridentError for more samples than a run takes."""
        if samples >= 1 << SAMPLE_BITS:
            raise TridentError(f"one run takes at most {(1 << SAMPLE_BITS) - 1} samples of a core, not {samples}")
        return self.pair(HEADER.pack(packet=Packet.START)[0] | route, samples)

    def put(self, route: int, address: int, spikes: np.ndarray) -> np.ndarray:
        """Write spike words, uint32 (n, 32-bit words), from ``address`` on, as many in a flit as fit."""
        packing, count = self.spikes, len(spikes)
        if packing.pieces > 1:
            payload = np.zeros((count, packing.pieces * self.words), np.uint32)
            payload[:, : spikes.shape[1]] = spikes
        else:
            payload = pack_bits(spikes, packing.bits, packing.per_flit, self.words)
        payload = payload.reshape(-1, self.words)
        longest = packing.per_packet // packing.per_flit * packing.pieces
        first = np.arange(0, count, packing.per_packet)
        rest = (np.minimum(count - first, packing.per_packet) - 1) % packing.per_flit
        base = PUT.pack(packet=Packet.SPIKES)[0] | route
        place = PUT.shape()
        headers = base | (first + address).astype(np.uint32) << place["address"].offset
        headers |= rest.astype(np.uint32) << place["rest"].offset
        return self._cut(payload, longest, headers)

    def token(self, route: int, token: Token, value: int = 0) -> np.ndarray:
        return self.single(TOKEN.pack(packet=Packet.TOKEN, token=token, value=value)[0] | route)

    def command(self, command: Command, value: int = 0, core: int = 0) -> np.ndarray:
        """A packet for the host tile itself."""
        x, y = self.mesh.position(core)
        return self.single(COMMAND.pack(mode=Mode.HOST, x=x, y=y, packet=command, value=value)[0])


def pack_bits(items: np.ndarray, bits: int, per: int, words: int) -> np.ndarray:
    """Items of ``bits`` bits, uint32 (n, 32-bit words), ``per`` of them in each row of ``words`` 32-bit words."""
    octets = np.ascontiguousarray(items.astype("<u4")).view(np.uint8)
    single = np.unpackbits(octets, axis=1, bitorder="little")[:, :bits]
    rows = -(-len(items) // per)
    full = np.zeros((rows, words * 32), np.uint8)
    padded = np.zeros((rows * per, bits), np.uint8)
    padded[: len(items)] = single
    full[:, : per * bits] = padded.reshape(rows, per * bits)
    return np.packbits(full, axis=1, bitorder="little").view("<u4").astype(np.uint32)


def unpack_bits(rows: np.ndarray, bits: int, per: int, count: int) -> np.ndarray:
    """The inverse: ``count`` items, uint32 (count, 32-bit words)."""
    octets = np.ascontiguousarray(rows.astype("<u4")).view(np.uint8)
    single = np.unpackbits(octets, axis=1, bitorder="little")[:, : per * bits].reshape(-1, bits)[:count]
    full = np.zeros((count, -(-bits // 32) * 32), np.uint8)
    full[:, :bits] = single
    return np.packbits(full, axis=1, bitorder="little").view("<u4").astype(np.uint32)


def received(flits: np.ndarray, mesh: MeshConfig) -> list[tuple[int, int, int, np.ndarray]]:
    """Packets that a chip sent: the mesh's core that sent it, what it is (:class:`Packet`), its kind (of an
    ANSWER), its payload (n, words)."""
    result, start = [], 0
    for end in np.flatnonzero(flits[:, -1]) + 1:
        header = int(flits[start, 0])
        fields = ANSWER.unpack([header])
        core = fields["x"] + fields["y"] * mesh.width
        result.append((core, fields["packet"], fields["kind"], flits[start + 1 : end, :-1]))
        start = end
    return result
