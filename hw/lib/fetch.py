"""One register stage of a stream that keeps step with a synchronous memory read."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Fetch(wiring.Component):
    """Hold a stream's payload for the cycle that a memory read takes.

    The address is made from ``i.payload`` outside; ``en`` is the read enable. While ``o`` waits, ``en`` is low and the
    memory keeps its output, so payload and data stay together. Latency 1 cycle, one payload per cycle.

    Members
    -------
    i, o : streams of ``shape``
    en : Out(1), read enable of the memory
    """

    def __init__(self, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "en": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.i.ready.eq(~self.o.valid | self.o.ready), self.en.eq(self.i.ready & self.i.valid)]
        with m.If(self.i.ready):
            m.d.sync += self.o.valid.eq(self.i.valid)
        with m.If(self.en):
            m.d.sync += self.o.payload.eq(self.i.payload)
        return m
