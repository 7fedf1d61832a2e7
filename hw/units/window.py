"""The window unit: the largest sum of every window of pixels, and which pixel has it."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.compare import sort_key
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.lib.times import times


class WindowUnit(wiring.Component):
    """Reads the pixels of a window at a timestep, a row per cycle, and writes the largest of each lane, the first of
    equal ones; then the next timestep. After the last, a word for every pixel says where it was the largest.

    Members
    -------
    job : In: ``src`` is the first word of sums, ``dst`` the first of the largest, of ``src_y`` x ``src_x`` windows of
        ``groups`` words; ``count``: words of a row of pixels; ``aux``: the first word of winners
    start : In(1), a pulse; busy : Out(1)
    sum_address, sum_en, sums : read port for sums (row = word, timestep); sum_write_address, sum_write, sum_data
    winner_address, winner_en, winner : write port for winners
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        row = cfg.address_bits + cfg.step_bits
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "busy": Out(1),
            "sum_address": Out(row), "sum_en": Out(1), "sums": In(cfg.row_bits),
            "sum_write_address": Out(row), "sum_write": Out(1), "sum_data": Out(cfg.row_bits),
            "winner_address": Out(cfg.address_bits), "winner_en": Out(1), "winner": Out(cfg.spike_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, size, steps = self.cfg, self.job, self.cfg.window, self.cfg.timesteps
        window, row = Signal(cfg.address_bits), Signal(cfg.address_bits)  # first words of the window, of its row
        group, x, y = Signal(cfg.address_bits), Signal(8), Signal(8)
        at_x, at_y = Signal(range(size)), Signal(range(size))  # the pixel of the window
        line, pixel = Signal(cfg.address_bits), Signal(cfg.address_bits)  # words before its row and it
        step, target = Signal(cfg.vector_bits), Signal(cfg.address_bits)
        reading, writing = Signal(), Signal()  # rows; winners
        word = Signal(cfg.address_bits)
        ends = (at_x == size - 1) & (at_y == size - 1)
        m.d.comb += [
            word.eq(window + line + pixel),
            self.sum_address.eq(Cat(step[: cfg.step_bits], (job.src + word)[: cfg.address_bits])),
            self.sum_en.eq(reading),
        ]
        with m.If(reading | writing):
            m.d.sync += [at_x.eq(at_x + 1), pixel.eq(pixel + job.groups)]
            with m.If(at_x == size - 1):
                m.d.sync += [at_x.eq(0), pixel.eq(0), at_y.eq(at_y + 1), line.eq(line + job.count)]
            with m.If(ends):
                m.d.sync += [at_y.eq(0), line.eq(0)]
        with m.If(reading & ends):
            m.d.sync += step.eq(step + 1)
            with m.If(step == steps - 1):
                m.d.sync += [step.eq(0), reading.eq(0)]

        # A cycle later: the row is there
        there, number, last, at = Signal(), Signal(range(size**2)), Signal(), Signal(cfg.vector_bits)
        m.d.sync += [there.eq(reading), number.eq(times(at_y, size) + at_x), last.eq(ends), at.eq(step)]
        best, winner = Signal(cfg.row_bits), [Signal(range(size**2), name=f"winner{n}") for n in range(cfg.lanes)]
        largest, chosen = Signal(cfg.row_bits), [Signal(range(size**2), name=f"chosen{n}") for n in range(cfg.lanes)]
        for lane in range(cfg.lanes):
            part = slice(lane * cfg.width, (lane + 1) * cfg.width)
            new, old = self.sums[part], best[part]
            larger = Signal(name=f"larger{lane}")
            m.d.comb += [
                larger.eq((number == 0) | (self._key(new) > self._key(old))),
                largest[part].eq(Mux(larger, new, old)),
                chosen[lane].eq(Mux(larger, number, winner[lane])),
            ]
            with m.If(there):
                m.d.sync += winner[lane].eq(chosen[lane])
        with m.If(there):
            m.d.sync += best.eq(largest)
        m.d.comb += [
            self.sum_write.eq(there & last),
            self.sum_write_address.eq(Cat(at[: cfg.step_bits], target)),
            self.sum_data.eq(largest),
        ]
        winners = [Signal(cfg.spike_bits, name=f"winners{n}") for n in range(size**2)]
        now = Signal(steps)
        m.d.comb += now.eq(1 << at)
        with m.If(there & last):
            for n, own in enumerate(winners):
                bits = Cat((value == n).replicate(steps) & now for value in chosen)
                m.d.sync += own.eq(Mux(at == 0, 0, own) | bits)
            m.d.sync += writing.eq(at == steps - 1)

        # Winners, and the next window: of the next group, the next pixel, the next row
        m.d.comb += [
            self.winner_address.eq(job.aux + word),
            self.winner_en.eq(writing),
            self.winner.eq(Array(winners)[times(at_y, size) + at_x]),
        ]
        with m.If(writing & ends):
            m.d.sync += [writing.eq(0), reading.eq(1), target.eq(target + 1)]
            m.d.sync += [group.eq(group + 1), window.eq(window + 1)]
            with m.If(group + 1 == job.groups):
                m.d.sync += [group.eq(0), x.eq(x + 1), window.eq(window + 1 + times(job.groups, size - 1))]
                with m.If(x + 1 == job.src_x):
                    following = row + times(job.count, size)
                    m.d.sync += [x.eq(0), y.eq(y + 1), row.eq(following), window.eq(following)]
                    with m.If(y + 1 == job.src_y):
                        m.d.sync += [self.busy.eq(0), reading.eq(0)]
        with m.If(self.start):
            m.d.sync += [
                self.busy.eq(1), reading.eq(1), target.eq(job.dst), *(s.eq(0) for s in (window, row, group, x, y)),
            ]  # fmt: skip
        return m

    def _key(self, bits):
        """Orders numbers; a zero has no sign."""
        return sort_key(Cat(bits[:-1], bits[-1] & bits[:-1].any()))
