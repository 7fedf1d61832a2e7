"""The windows that each pixel of an image is in, pixel by pixel, for the unit that gathers their errors."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB


def pixel_window(payloads: Payloads) -> data.StructLayout:
    """A window that a pixel may be in: the place of the pixel's row among errors, the window's word, the pixel's place
    in it (``tap``: column, row), whether there is such a window, and whether it is the row's first and last."""
    cfg = payloads.cfg
    return data.StructLayout({
        "place": data.StructLayout(payloads.place.members), "word": cfg.address_bits, "tap": 2 * cfg.tap_bits,
        "inside": 1, "first": 1, "last": 1,
    })  # fmt: skip


class PixelWalk(wiring.Component):
    """All windows of a pixel, from the last one on; then the next row in the order of the neuron-gradient unit: as many
    words as there can be neurons under way, at the last timestep, then at the one before. One window per cycle; a pixel
    that is in none has one that is not inside.

    Members
    -------
    job : In: ``src_y`` x ``src_x`` windows of ``groups`` words and ``last_tap`` + 1 pixels along a side, one every
        ``words`` pixels, and ``count`` words of a row of them; ``last_y``, ``last_x``: height and width of the image,
        less one. Of the windows that the first pixel is in along a side, the last has the number ``pass_groups`` and
        there the pixel the place ``origin``; words count from that window's on
    start : In(1), a pulse
    o : stream of windows, see :func:`pixel_window`, ``valid`` from the cycle after ``start`` until all have been taken
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg, self.payloads, self.items = cfg, Payloads(cfg, "backward"), cfg.items("backward")
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "o": Out(stream.Signature(pixel_window(self.payloads))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, o = self.cfg, self.job, self.o.payload
        # A pixel along a side, and the last window that it is in: its place in that, the window's number and words
        axis = data.StructLayout({"at": 10, "tap": 4, "window": 10, "words": cfg.address_bits})
        here = data.StructLayout({"word": cfg.address_bits, "group": cfg.address_bits, "x": axis, "y": axis})
        now, begun, following = Signal(here), Signal(here), Signal(here)  # begun: of the items under way, the first
        item, step = Signal(range(max(self.items, 2))), Signal(cfg.vector_bits)
        taken = self.o.valid & self.o.ready
        column = self._windows(m, "x", now.x, job.src_x, job.groups, taken)
        row = self._windows(m, "y", now.y, job.src_y, job.count, taken & column["last"])
        m.d.comb += [
            o.first.eq(column["first"] & row["first"]),
            o.last.eq(column["last"] & row["last"]),
            o.inside.eq(column["inside"] & row["inside"]),
            o.tap.eq(Cat(column["tap"], row["tap"])),
            o.word.eq(column["words"] + row["words"] + now.group),
            o.place.address.eq(now.word),
            o.place.item.eq(item),
            o.place.step.eq(step),
            *([o.place.group.eq(now.group)] if cfg.learns else []),
        ]
        # The word behind this one: of the next group, the next pixel, the next row
        last_group, end_x, end_y = now.group + 1 == job.groups, now.x.at == job.last_x, now.y.at == job.last_y
        m.d.comb += [following.eq(now), following.word.eq(now.word + 1), following.group.eq(now.group + 1)]
        with m.If(last_group):
            m.d.comb += [following.group.eq(0), *self._next(following.x, now.x, job.groups)]
            with m.If(end_x):
                m.d.comb += [*self._begin(following.x), *self._next(following.y, now.y, job.count)]
        last_word = last_group & end_x & end_y
        last_item = (item == self.items - 1) | last_word
        with m.If(taken & o.last):
            m.d.sync += [item.eq(item + 1), now.eq(following)]
            with m.If(last_item):
                m.d.sync += [item.eq(0), step.eq(step - 1), now.eq(begun)]
            with m.If(last_item & (step == 0)):
                m.d.sync += [
                    step.eq(cfg.timesteps - 1), now.eq(following), begun.eq(following), self.o.valid.eq(~last_word),
                ]  # fmt: skip
        with m.If(self.start):
            m.d.sync += [self.o.valid.eq(1), item.eq(0), step.eq(cfg.timesteps - 1)]
            for own in (now, begun):
                m.d.sync += [own.word.eq(0), own.group.eq(0), *self._begin(own.x), *self._begin(own.y)]
        return m

    def _windows(self, m: Module, name: str, own, windows, words, taken) -> dict:
        """Along a side, from a pixel's last window back to its first, one when this is ``taken``; ``windows``: how many
        there are, ``words``: from one to the next."""
        job, bits = self.job, self.cfg.address_bits
        back = Signal(data.StructLayout({"tap": 4, "window": 4, "words": bits}), name=f"back_{name}")
        tap, window, first = Signal(5, name=f"tap_{name}"), Signal(10, name=f"window_{name}"), Signal(name=f"at_{name}")
        last = tap + job.words > job.last_tap
        m.d.comb += [
            tap.eq(own.tap + back.tap),
            window.eq(own.window - back.window),  # before the first one it is large
            first.eq(~back.tap.any()),
        ]
        with m.If(taken):
            m.d.sync += [
                back.tap.eq(back.tap + job.words), back.window.eq(back.window + 1), back.words.eq(back.words + words),
            ]  # fmt: skip
            with m.If(last):
                m.d.sync += back.eq(0)
        return {
            "first": first, "last": last, "inside": (window < windows) & (tap <= job.last_tap),
            "tap": tap[: self.cfg.tap_bits], "words": own.words - back.words,
        }  # fmt: skip

    def _begin(self, axis) -> list:
        """The first pixel."""
        return [axis.at.eq(0), axis.tap.eq(self.job.origin), axis.window.eq(self.job.pass_groups), axis.words.eq(0)]

    def _next(self, axis, before, words) -> list:
        """The pixel behind, whose last window may be another one, so many words further."""
        ends = before.tap + 1 == self.job.words
        return [
            axis.at.eq(before.at + 1),
            axis.tap.eq(Mux(ends, 0, before.tap + 1)),
            axis.window.eq(before.window + ends),
            axis.words.eq(before.words + Mux(ends, words, 0)),
        ]
