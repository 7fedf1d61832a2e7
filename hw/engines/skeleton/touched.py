"""Which accumulators hold a sum, so that none has to be cleared before it is used."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.lib.onehot import with_bit


def _ports(entries: int) -> dict:
    return {
        "entry": In(range(max(entries, 2))),
        "held": Out(1),
        "en": In(1),
        "value": In(1),
        "some": Out(1),
        "ready": Out(1),
    }


class TouchedBits(wiring.Component):
    """A register bit per entry.

    Members
    -------
    entry : In; held : Out(1), it holds a sum; en : In(1), from now on it does if ``value``
    some : Out(1), from now on some entry holds a sum
    ready : Out(1), none may be asked for before
    bits : Out, all of them
    """

    def __init__(self, entries: int):
        self.entries = entries
        super().__init__(_ports(entries) | {"bits": Out(entries)})

    def elaborate(self, platform):
        m = Module()
        after = Signal(self.entries)
        m.d.comb += [
            self.held.eq(self.bits.bit_select(self.entry, 1)), after.eq(self.bits), self.some.eq(after.any()),
            self.ready.eq(1),
        ]  # fmt: skip
        with m.If(self.en):
            m.d.comb += after.eq(with_bit(self.bits, self.entry, self.value, self.entries))
        m.d.sync += self.bits.eq(after)
        return m


class TouchedMemory(wiring.Component):
    """A bit per entry in a small memory, which a reset clears in as many cycles as there are entries.

    Members: see :class:`TouchedBits`; instead of ``bits``:
    one : Out(1), a single entry holds a sum
    """

    def __init__(self, entries: int):
        self.entries = entries
        super().__init__(_ports(entries) | {"one": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.flags = flags = memory.Memory(shape=1, depth=self.entries, init=[])
        read, write = flags.read_port(domain="comb"), flags.write_port()
        count, after = Signal(range(self.entries + 1)), Signal(range(self.entries + 1))
        clearing = Signal(range(max(self.entries, 2)))
        with m.If(~self.ready):
            m.d.sync += [clearing.eq(clearing + 1), self.ready.eq(clearing == self.entries - 1)]
            m.d.comb += [write.addr.eq(clearing), write.en.eq(1)]
        with m.Else():
            m.d.comb += [write.addr.eq(self.entry), write.en.eq(self.en), write.data.eq(self.value)]
        m.d.comb += [
            read.addr.eq(self.entry),
            self.held.eq(read.data),
            after.eq(count),
            self.some.eq(Mux(self.en & (self.value | self.held), self.value | ~self.one, count.any())),
            self.one.eq(count == 1),
        ]
        with m.If(self.en & (self.value != self.held)):
            m.d.comb += after.eq(Mux(self.value, count + 1, count - 1))
        m.d.sync += count.eq(after)
        return m
