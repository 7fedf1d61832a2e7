"""The pixels of windows of an image, window by window, as those units read them that look for the largest."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB


def window_pixel(cfg: CoreConfig) -> data.StructLayout:
    """A pixel of a window: its word, where it is in the window (``tap``: column, row), whether it is within the image,
    and whether it is the last of the window; of the window, its number, and the timestep or whatever it is read for."""
    return data.StructLayout({
        "word": cfg.address_bits, "tap": 2 * cfg.tap_bits, "inside": 1, "last": 1, "window": cfg.address_bits,
        "step": cfg.vector_bits,
    })  # fmt: skip


class WindowWalk(wiring.Component):
    """All pixels of a window in raster order, ``steps`` times; then the next window: of the next group of channels, of
    the next pixel, of the next row. One pixel per cycle.

    Members
    -------
    job : In: ``src`` is the word of the first window's first pixel, which may be before the image's; ``src_y`` x
        ``src_x`` windows of ``groups`` words and ``last_tap`` + 1 pixels along a side, one every ``words`` pixels, of
        which the first has ``origin`` pixels before the image; ``last_y``, ``last_x``: height and width of the image,
        less one; ``count``: words of a row of pixels; ``tap_step``: words from the last group of a window to the first
        of the next one, ``pass_step``: from a row of windows to the next
    start : In(1), a pulse
    o : stream of pixels, see :func:`window_pixel`, ``valid`` from the cycle after ``start`` until all have been taken
    """

    def __init__(self, cfg: CoreConfig, steps: int = 1):
        self.cfg, self.steps = cfg, steps
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "o": Out(stream.Signature(window_pixel(cfg))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, o = self.cfg, self.job, self.o.payload
        window, row = Signal(cfg.address_bits), Signal(cfg.address_bits)  # first words of the window, of its row
        line, pixel = Signal(cfg.address_bits), Signal(cfg.address_bits)  # words before the pixel's row and it
        group, x, y = Signal(cfg.address_bits), Signal(8), Signal(8)
        left, top = Signal(11), Signal(11)  # of the window; before the image they are large
        at_x, at_y = (Signal(cfg.tap_bits, name=f"at_{axis}") for axis in "xy")
        step = Signal(cfg.vector_bits)
        last_x, last_y, last_step = at_x == job.last_tap, at_y == job.last_tap, step == self.steps - 1
        m.d.comb += [
            o.word.eq(window + line + pixel),
            o.tap.eq(Cat(at_x, at_y)),
            o.inside.eq(((left + at_x)[:11] <= job.last_x) & ((top + at_y)[:11] <= job.last_y)),
            o.last.eq(last_x & last_y),
            o.step.eq(step),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [at_x.eq(at_x + 1), pixel.eq(pixel + job.groups)]
            with m.If(last_x):
                m.d.sync += [at_x.eq(0), pixel.eq(0), at_y.eq(at_y + 1), line.eq(line + job.count)]
            with m.If(o.last):
                m.d.sync += [at_y.eq(0), line.eq(0), step.eq(step + 1)]
            with m.If(o.last & last_step):
                m.d.sync += [step.eq(0), o.window.eq(o.window + 1), group.eq(group + 1), window.eq(window + 1)]
                with m.If(group + 1 == job.groups):
                    m.d.sync += [group.eq(0), x.eq(x + 1), window.eq(window + job.tap_step), left.eq(left + job.words)]
                    with m.If(x + 1 == job.src_x):
                        following = row + job.pass_step
                        m.d.sync += [
                            x.eq(0), y.eq(y + 1), row.eq(following), window.eq(following), left.eq(-job.origin),
                            top.eq(top + job.words), self.o.valid.eq(y + 1 != job.src_y),
                        ]  # fmt: skip
        with m.If(self.start):
            m.d.sync += [
                self.o.valid.eq(1), window.eq(job.src), row.eq(job.src), left.eq(-job.origin), top.eq(-job.origin),
                *(s.eq(0) for s in (line, pixel, group, x, y, at_x, at_y, step, o.window)),
            ]  # fmt: skip
        return m
