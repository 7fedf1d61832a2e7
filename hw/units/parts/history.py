"""One bit per lane and timestep becomes a spike word."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig


class History(wiring.Component):
    """Collect the bits of a neuron group over the timesteps, for many groups at once.

    Members
    -------
    item, step : In, which group and timestep ``bits`` (one per lane) belongs to
    first : In(1), the group starts afresh
    en : In(1), take the bits
    word : Out, the group's word with these bits in it (bit ``lane * timesteps + t``)
    """

    def __init__(self, cfg: CoreConfig, items: int):
        self.cfg, self.items = cfg, items
        super().__init__({
            "item": In(range(max(items, 2))),
            "step": In(cfg.vector_bits),
            "first": In(1),
            "bits": In(cfg.lanes),
            "en": In(1),
            "word": Out(cfg.spike_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=self.cfg.spike_bits, depth=self.items, init=[])
        read, write = words.read_port(domain="comb"), words.write_port()
        steps = self.cfg.timesteps
        now = Signal(steps)
        m.d.comb += now.eq(1 << self.step)
        current = Cat(bit.replicate(steps) & now for bit in self.bits)
        m.d.comb += [
            read.addr.eq(self.item),
            self.word.eq(Mux(self.first, 0, read.data) | current),
            write.addr.eq(self.item),
            write.data.eq(self.word),
            write.en.eq(self.en),
        ]
        return m
