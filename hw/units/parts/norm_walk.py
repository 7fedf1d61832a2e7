"""Rows of a group of channels over all samples of a minibatch, pixels and timesteps."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig

PLACES = ("sums", "scaled", "errors")
"""What a walk steps through side by side: words of sums, of scaled sums, and of errors."""


def norm_row(cfg: CoreConfig) -> data.StructLayout:
    """Where a row is: the word in each of :data:`PLACES`, and its timestep."""
    return data.StructLayout({**dict.fromkeys(PLACES, cfg.address_bits), "step": cfg.vector_bits})


class NormWalk(wiring.Component):
    """One row per cycle: all timesteps of a word, then the word of the next pixel, then the next sample.

    Members
    -------
    first : In, by place, the first word; sample : In, by place, words from one sample to the next; pixel : In, words
        from one pixel to the next; pixels, samples : In; single : In(1), of the first timesteps alone; all hold until
        the last row has been taken
    start : In(1), a pulse
    o : stream of rows, see :func:`norm_row`, ``valid`` from the cycle after ``start`` until all have been taken
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        words = data.StructLayout(dict.fromkeys(PLACES, cfg.address_bits))
        super().__init__({
            "first": In(words), "sample": In(words), "pixel": In(16), "pixels": In(16), "samples": In(16),
            "single": In(1),
            "start": In(1), "o": Out(stream.Signature(norm_row(cfg))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        o, begin = self.o.payload, Signal.like(self.first)  # words of the sample's first pixel
        pixel, samples = Signal(16), Signal(16)
        m.d.comb += self.o.valid.eq(samples.any())
        with m.If(self.start):
            m.d.sync += [begin.eq(self.first), pixel.eq(self.pixels), samples.eq(self.samples), o.step.eq(0)]
            m.d.sync += [o[name].eq(self.first[name]) for name in PLACES]
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += o.step.eq(o.step + 1)
            with m.If(self.single | (o.step == self.cfg.timesteps - 1)):
                m.d.sync += [o.step.eq(0), pixel.eq(pixel - 1), *(o[name].eq(o[name] + self.pixel) for name in PLACES)]
                with m.If(pixel == 1):
                    m.d.sync += [pixel.eq(self.pixels), samples.eq(samples - 1)]
                    for name in PLACES:
                        following = begin[name] + self.sample[name]
                        m.d.sync += [begin[name].eq(following), o[name].eq(following)]
        return m
