"""A chip behind the two pins of a serial line: what goes into an FPGA."""

from amaranth.hdl import Instance, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from trident.hw.chip import Chip, check_pair, chip_signature, emit_chip
from trident.hw.generate import emit, ports
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.frames import BUFFER
from trident.hw.isa.mesh import MeshConfig
from trident.hw.lib.streams import connect
from trident.hw.link.endpoint import Endpoint


class LinkedChip(wiring.Component):
    """A :class:`Chip` and its end of the host link.

    ``instances``: refer to the chip's module, which is emitted by itself (:func:`emit_linked_chip`).

    Members
    -------
    rx : In(1), the line from the host, of any clock; tx : Out(1), the line to the host; both are high when idle
    busy : Out(1), a queue of any core runs
    error : Out(1), the link has dropped a frame or a core has reported a fault since the last reset
    """

    def __init__(
        self, cfg: CoreConfig, mesh: MeshConfig, clock_hz: int, baud: int = 3_000_000, instances: bool = False,
        buffer: int = BUFFER,
    ):  # fmt: skip
        check_pair(cfg, mesh)
        self.cfg, self.mesh, self.instances = cfg, mesh, instances
        self.endpoint = Endpoint(cfg, mesh, clock_hz, baud, buffer)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1), "error": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.endpoint = endpoint = self.endpoint
        clear = Signal(init=1)  # a register, as it goes everywhere; the reset sets it
        m.d.sync += clear.eq(endpoint.clear)
        if self.instances:
            chip = chip_signature(self.mesh).create(path=("chip",))
            m.submodules.chip = Instance("chip", **ports(chip) | {"i_rst": clear})
        else:
            chip = Chip(self.cfg, self.mesh)
            m.submodules.chip = ResetInserter(clear)(chip)
        m.submodules.sync = FFSynchronizer(self.rx, endpoint.rx, init=1)
        connect(m, endpoint.o, chip.i)
        connect(m, chip.o, endpoint.i)
        active = Signal.like(chip.active)
        m.d.sync += [
            active.eq(chip.active), self.busy.eq(active.any()), endpoint.moving.eq(active != chip.active)
        ]  # fmt: skip
        m.d.comb += [endpoint.active.eq(self.busy), self.tx.eq(endpoint.tx), self.error.eq(endpoint.error)]
        return m


def emit_linked_chip(
    cfg: CoreConfig, mesh: MeshConfig, clock_hz: int, baud: int = 3_000_000, core: str | None = None,
    top: str = "linked_chip", buffer: int = BUFFER,
) -> str:  # fmt: skip
    """Verilog of a :class:`LinkedChip`, top module ``top``; core and router are written once.

    ``core``: the Verilog of the core, if it is known already; ``buffer``: bytes of each of the link's two buffers.
    """
    linked = LinkedChip(cfg, mesh, clock_hz, baud, instances=True, buffer=buffer)
    return "\n".join([emit_chip(cfg, mesh, core), emit(linked, top)])
