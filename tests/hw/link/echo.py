"""A chip that sends every packet back: the link's RTL with nothing behind it."""

from functools import cache

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.generate import emit
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.frames import BUFFER
from trident.hw.isa.mesh import MeshConfig
from trident.hw.link.endpoint import Endpoint
from trident.hw.noc.flits import flit_layout
from trident.sim.rtl.line import CLOCK, SimulatedLine


class EchoChip(wiring.Component):
    """As :class:`LinkedChip`, with a queue of flits in place of the chip."""

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig, clock_hz: int, baud: int, buffer: int):
        self.mesh, self.endpoint = mesh, Endpoint(cfg, mesh, clock_hz, baud, buffer)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.endpoint = endpoint = self.endpoint
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=flit_layout(self.mesh).size, depth=16)
        m.d.comb += [
            endpoint.rx.eq(self.rx), self.tx.eq(endpoint.tx), self.error.eq(endpoint.error),
            queue.w_data.eq(endpoint.o.payload), queue.w_en.eq(endpoint.o.valid), endpoint.o.ready.eq(queue.w_rdy),
            endpoint.i.payload.eq(queue.r_data), endpoint.i.valid.eq(queue.r_rdy & ~endpoint.clear),
            queue.r_en.eq(endpoint.i.ready | endpoint.clear),
        ]  # fmt: skip
        return m


@cache
def _verilog(cfg: CoreConfig, mesh: MeshConfig, clock_hz: int, baud: int, buffer: int) -> str:
    return emit(EchoChip(cfg, mesh, clock_hz, baud, buffer), "echo")


def echo_line(
    cfg: CoreConfig, mesh: MeshConfig, clock_hz: int = CLOCK, baud: int = 3_000_000, skew: float = 1.0,
    buffer: int = BUFFER,
):  # fmt: skip
    """An :class:`EchoChip` on a simulated line whose host is faster by the factor ``skew``."""
    return SimulatedLine(_verilog(cfg, mesh, clock_hz, baud, buffer), "echo", clock_hz, baud * skew)


def random_packets(rng: np.random.Generator, mesh: MeshConfig, count: int, sizes=None) -> np.ndarray:
    """Packets of ``sizes`` flits, or of 1 to ``mesh.packet``, of any content, but none that tells of a fault."""
    sizes = rng.integers(1, mesh.packet + 1, count) if sizes is None else np.array(sizes)
    flits = rng.integers(0, 1 << 32, (sizes.sum(), mesh.flit // 32 + 1), dtype=np.uint64).astype(np.uint32)
    flits[:, -1] = 0
    ends = np.cumsum(sizes)
    flits[ends - 1, -1] = 1
    flits[ends - sizes, 0] &= ~np.uint32(1 << 8)
    return flits
