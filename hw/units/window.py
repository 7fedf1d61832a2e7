"""The window unit: the largest sum of every window of pixels, and which pixel has it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.compare import sort_key
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.units.parts.window_walk import WindowWalk, window_pixel


class WindowUnit(wiring.Component):
    """Reads the pixels of a window at a timestep, a row per cycle, and writes the largest of each lane, the first of
    equal ones; then the next timestep. Behind the last, a word of winners says which pixels they were.

    Members
    -------
    job : In: ``dst`` is the first word of the largest, ``aux`` the first word of winners; see :class:`WindowWalk`
    start : In(1), a pulse; busy : Out(1)
    sum_address, sum_en, sums : read port for sums (row = word, timestep); sum_write_address, sum_write, sum_data
    winner_address, winner_en, winner : write port for winners, as :class:`JoinUnit` has it
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        row = cfg.address_bits + cfg.step_bits
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "busy": Out(1),
            "sum_address": Out(row), "sum_en": Out(1), "sums": In(cfg.row_bits),
            "sum_write_address": Out(row), "sum_write": Out(1), "sum_data": Out(cfg.row_bits),
            "winner_address": Out(cfg.address_bits), "winner_en": Out(1), "winner": Out(cfg.winner_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, steps, width = self.cfg, self.cfg.timesteps, self.cfg.width
        m.submodules.walk = walk = WindowWalk(cfg, steps)
        asked = walk.o.payload
        m.d.comb += [
            walk.job.eq(self.job),
            walk.start.eq(self.start),
            walk.o.ready.eq(1),
            self.sum_address.eq(Cat(asked.step[: cfg.step_bits], asked.word)),
            self.sum_en.eq(walk.o.valid),
        ]
        # A cycle later: the row is there
        there, pixel = Signal(), Signal(window_pixel(cfg))
        m.d.sync += [there.eq(walk.o.valid), pixel.eq(asked)]
        begun, best, largest = Signal(), Signal(cfg.row_bits), Signal(cfg.row_bits)  # begun: a pixel was inside
        taps = data.ArrayLayout(2 * cfg.tap_bits, cfg.lanes)
        winner, chosen = Signal(taps), Signal(taps)
        for lane in range(cfg.lanes):
            part = slice(lane * width, (lane + 1) * width)
            new, old, larger = self.sums[part], best[part], Signal(name=f"larger{lane}")
            m.d.comb += [
                larger.eq(pixel.inside & (~begun | (self._key(new) > self._key(old)))),
                largest[part].eq(Mux(larger, new, old)),
                chosen[lane].eq(Mux(larger, pixel.tap, winner[lane])),
            ]
        with m.If(there):
            m.d.sync += [
                begun.eq((begun | pixel.inside) & ~pixel.last), best.eq(largest), winner.eq(chosen),
            ]  # fmt: skip
        target = Signal(cfg.address_bits)
        now, before, after = Signal(steps), Signal(cfg.winner_bits), Signal(cfg.winner_bits)
        bits = Cat(chosen[lane][n].replicate(steps) & now for n in range(2 * cfg.tap_bits) for lane in range(cfg.lanes))
        m.d.comb += [
            now.eq(1 << pixel.step),
            after.eq(Mux(pixel.step == 0, 0, before) | bits),
            self.sum_write.eq(there & pixel.last),
            target.eq(self.job.dst + pixel.window),
            self.sum_write_address.eq(Cat(pixel.step[: cfg.step_bits], target)),
            self.sum_data.eq(largest),
            self.winner_address.eq(self.job.aux + pixel.window),
            self.winner_en.eq(there & pixel.last & (pixel.step == steps - 1)),
            self.winner.eq(after),
            self.busy.eq(walk.o.valid | there),
        ]
        with m.If(there & pixel.last):
            m.d.sync += before.eq(after)
        return m

    def _key(self, bits):
        """Orders numbers; a zero has no sign."""
        return sort_key(Cat(bits[:-1], bits[-1] & bits[:-1].any()))
