"""A chip behind a serial line, for the driver: flits in and out, whatever happens on the line."""

import numpy as np

from trident.host.driver.endpoint import ByteStream, Endpoint, LinkDown
from trident.host.driver.upload import Part, Records, describe, packets_of
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.frames import link_digest
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import HEADER, Packet

BEATS = 3  # heartbeats, beside those of the time that is asked for, before a chip counts as stuck


class SerialLink:
    """The link of :class:`Driver` over a line; it closes the line.

    Raises :class:`LinkDown` when nothing, or something else, answers, and :class:`TridentError` when the
    chip's configuration is not ``cfg`` on ``mesh``. Cycles are those of the chip's clock since then.
    """

    def __init__(self, line: ByteStream, cfg: CoreConfig, mesh: MeshConfig):
        self.line, self.cfg, self.mesh = line, cfg, mesh
        self.endpoint = Endpoint(line)
        self.records = Records(cfg, mesh)
        page = self.endpoint.connect()
        expected = link_digest(cfg, mesh)
        if page["digest"] != expected:
            raise TridentError(
                f"the chip at {line.name} has configuration {page['digest']:#010x}, the host expects {expected:#010x} "
                f"({mesh.width}x{mesh.height} cores): load a bitstream of this configuration, or give the options that "
                f"the chip was built with"
            )
        self.clock_hz, self._beat, self._began = page["clock"], page["beat"], line.now()
        self._came: list[np.ndarray] = []

    @property
    def cycles(self) -> int:
        """Cycles of the chip's clock since the connection."""
        return int((self.line.now() - self._began) * self.clock_hz)

    @property
    def worker(self) -> int:
        """The chip's number as a worker, 0 to 255, which it keeps until power-off."""
        return self.endpoint.identify()["worker"]

    @worker.setter
    def worker(self, number: int):
        self.endpoint.set_worker(number)

    def reset(self):
        """Put the chip into its initial state: what was under way is lost, memories have any content."""
        self.endpoint.connect()
        self._came = []

    def exchange(self, flits: np.ndarray, wanted: int, limit: int, room: int | None = None) -> tuple[int, np.ndarray]:
        """As :meth:`VerilatedChip.exchange`; ``limit`` counts cycles of the chip's clock.

        Raises :class:`LinkDown`, with the packet that was being sent or waited for, when the line is dead.
        """
        flits = np.ascontiguousarray(flits, dtype=np.uint32).reshape(-1, self.mesh.flit // 32 + 1)
        parts = self.records.make(flits)
        endpoint, ends = self.endpoint, []
        endpoint.begin_wait()
        for part in parts:
            endpoint.send(part.octets)
            ends.append(endpoint.written)
        quiet = (limit >> self._beat) + BEATS
        try:
            while endpoint.acknowledged < endpoint.written or len(self._came) < wanted:
                if endpoint.still > quiet:
                    break
                endpoint.pump()
                self._came += packets_of(endpoint.incoming, self.mesh)
        except LinkDown as fault:
            raise LinkDown(f"{fault}, {self._under_way(parts, ends)}") from None
        given = [part.end for part, end in zip(parts, ends, strict=True) if end <= endpoint.acknowledged]
        came = self._came[: max(wanted, 0)]
        self._came = self._came[len(came) :]
        out = np.concatenate(came) if came else np.zeros((0, flits.shape[1]), np.uint32)
        return (max(given) if given else 0), out

    def _under_way(self, parts: list[Part], ends: list[int]) -> str:
        """What was being sent or waited for."""
        for part, end in zip(parts, ends, strict=True):
            if end > self.endpoint.acknowledged:
                return f"while sending {describe(part.header, self.mesh)}"
        asking = [part for part in parts if HEADER.unpack([part.header])["packet"] in (Packet.READ, Packet.START)]
        if not asking:
            return "while waiting for a packet"
        return f"while waiting for what comes after {describe(asking[-1].header, self.mesh)}"

    def record(self, capacity: int = 0):
        """Nothing: when the cores' queues run cannot be seen from here."""

    def intervals(self) -> list[tuple[int, str, int, int]]:
        """None, see :meth:`record`."""
        return []

    def close(self):
        self.line.close()
