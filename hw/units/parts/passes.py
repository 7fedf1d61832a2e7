"""Items that visit a shared pipeline more than once."""

from amaranth.hdl import Module
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out


class PassLoop(wiring.Component):
    """New items and items on a further pass, merged; an item that comes back always finds a place.

    New items enter only while none waits. So no more can come back than the pipeline behind ``o`` holds at once, and
    ``depth`` must be at least that.

    Members
    -------
    i : stream of new items
    back, back_valid : In, an item that needs one more pass (it cannot wait)
    o : stream of all items, further passes first
    """

    def __init__(self, shape, depth: int):
        self.shape, self.depth = shape, depth
        super().__init__({
            "i": In(stream.Signature(shape)),
            "back": In(shape),
            "back_valid": In(1),
            "o": Out(stream.Signature(shape)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.waiting = waiting = fifo.SyncFIFO(width=self.back.as_value().shape().width, depth=self.depth)
        m.d.comb += [
            waiting.w_data.eq(self.back),
            waiting.w_en.eq(self.back_valid),
        ]
        with m.If(waiting.r_rdy):
            m.d.comb += [
                self.o.payload.eq(waiting.r_data),
                self.o.valid.eq(1),
                waiting.r_en.eq(self.o.ready),
            ]
        with m.Else():
            m.d.comb += [
                self.o.payload.eq(self.i.payload),
                self.o.valid.eq(self.i.valid),
                self.i.ready.eq(self.o.ready),
            ]
        return m
