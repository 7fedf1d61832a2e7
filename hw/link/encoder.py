"""From values to spikes: each value's spikes are spread evenly over time."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Packing


class Encoder(wiring.Component):
    """Bytes of values to bytes of spikes, as :func:`rate` makes them of ``value / full``.

    A value spikes at step t where ``floor(((t + 1) * value + phase) / full) > floor((t * value + phase) / full)``
    (Bresenham's line). Spikes of consecutive values lie side by side as in the payload flits of a SPIKES packet, with
    zeros where a flit has bits to spare. A cycle per spike and per bit to spare.

    Members
    -------
    i : stream of values, at most ``full``; o : stream of bytes
    full : In(8), 0 stands for 256; phase : In(8), below ``full``
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        packing = Packing(mesh, cfg.spike_bits)
        self.timesteps = cfg.timesteps
        self.used, self.bits = packing.per_flit * packing.bits, packing.pieces * mesh.flit
        super().__init__({
            "i": In(stream.Signature(8)), "o": Out(stream.Signature(8)), "full": In(8), "phase": In(8),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        value, total = Signal(8), Signal(8)
        left = Signal(range(self.timesteps + 1))
        above, rest = Signal(9), Signal(10)
        spike, spare, shift = Signal(), Signal(), Signal()
        filled = Signal(3)
        m.d.comb += [
            above.eq(total + value),
            rest.eq(above - Cat(self.full, self.full == 0)),
            spike.eq(~rest[-1]),
            shift.eq(~self.o.valid & (spare | left.any())),
            self.i.ready.eq(~self.o.valid & ~spare & (left == 0)),
        ]
        if self.used < self.bits:
            position = Signal(range(self.bits))
            m.d.comb += spare.eq(position >= self.used)
            with m.If(shift):
                m.d.sync += position.eq(position + 1)
                with m.If(position == self.bits - 1):
                    m.d.sync += position.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [value.eq(self.i.payload), total.eq(self.phase), left.eq(self.timesteps)]
        with m.If(shift):
            m.d.sync += [
                self.o.payload.eq(Cat(self.o.payload[1:], spike & ~spare)),
                filled.eq(filled + 1),
                self.o.valid.eq(filled == 7),
            ]
            with m.If(~spare):
                m.d.sync += [left.eq(left - 1), total.eq(Mux(spike, rest[:8], above[:8]))]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
