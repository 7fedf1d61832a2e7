"""Flits that come by a link, on their places until somebody takes them."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.flits import flit_layout, link_signature, phit_layout


class Inbox(wiring.Component):
    """Places for every channel of a link; what the channels bring leaves in the order in which it came.

    Latency 1 cycle, one more per further phit of a flit; one phit per cycle.

    Members
    -------
    i : link; o : stream of flits, or of phits
    """

    def __init__(self, mesh: MeshConfig, by_phit: bool = False):
        self.mesh, self.phits = mesh, 1 if by_phit else mesh.phits
        shape = phit_layout(mesh) if by_phit else flit_layout(mesh)
        super().__init__({"i": In(link_signature(mesh)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        mesh, phits = self.mesh, self.phits
        phit = Signal(phit_layout(mesh))
        m.submodules.places = places = fifo.SyncFIFO(
            width=phit.shape().size + len(self.i.channel), depth=mesh.link_places * mesh.channels
        )
        full = Signal()  # the phits before the flit's last one are kept
        kept = Signal((phits - 1) * mesh.link_bits)
        m.d.comb += [
            places.w_data.eq(Cat(self.i.flit, self.i.channel)),
            places.w_en.eq(self.i.valid),
            phit.eq(places.r_data[: phit.shape().size]),
            self.o.payload.data.eq(Cat(kept, phit.data)),
            self.o.payload.last.eq(phit.last),
            self.o.valid.eq(places.r_rdy & full),
            places.r_en.eq(self.o.ready | ~full),
        ]
        taken = places.r_rdy & places.r_en
        m.d.sync += self.i.credit.eq(taken << (places.r_data[phit.shape().size :] if mesh.channels > 1 else 0))
        if phits == 1:
            m.d.comb += full.eq(1)
        else:
            number = Signal(range(phits))
            m.d.comb += full.eq(number == phits - 1)
            with m.If(taken):
                m.d.sync += [number.eq(number + 1), kept.eq(Cat(kept, phit.data)[mesh.link_bits :])]
        return m
