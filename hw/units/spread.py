"""The spread unit: the error of every window of sums goes to the pixel that was its largest."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.lib.fetch import Fetch
from trident.hw.units.parts.history import History


class SpreadUnit(wiring.Component):
    """Writes the errors of an image, word by word and timestep by timestep, a row per cycle: where a lane's pixel was
    the largest of its window, the window's error, else 0; and their masks. Pixels beyond the last whole window have 0.

    Members
    -------
    job : In: ``src`` is the first word of the windows' errors, of ``src_y`` x ``src_x`` windows of ``groups`` words;
        ``dst`` the first word of the image's, of which ``last_y`` and ``last_x`` are height and width less one;
        ``aux``: the first word of winners
    start : In(1), a pulse; busy : Out(1)
    winner_address, winner_en, winners : read port for winners
    error_word, error_step, error_en, errors : read port for errors; error_address, error_write, error_data : write
        port (row = word, timestep); mask_address, mask_en, mask : for error masks
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "busy": Out(1),
            "winner_address": Out(cfg.address_bits), "winner_en": Out(1), "winners": In(cfg.spike_bits),
            "error_word": Out(cfg.address_bits), "error_step": Out(cfg.vector_bits), "error_en": Out(1),
            "errors": In(cfg.row_bits),
            "error_address": Out(cfg.address_bits + cfg.step_bits), "error_write": Out(1),
            "error_data": Out(cfg.row_bits),
            "mask_address": Out(cfg.address_bits), "mask_en": Out(1), "mask": Out(cfg.spike_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, size, steps = self.cfg, self.job, self.cfg.window, self.cfg.timesteps
        running, word, step = Signal(), Signal(cfg.address_bits), Signal(cfg.vector_bits)
        group, x, y = Signal(cfg.address_bits), Signal(10), Signal(10)
        sub_x, sub_y = Signal(range(size)), Signal(range(size))  # the pixel of its window
        window_x, window_y = Signal(8), Signal(8)
        row, pixel = Signal(cfg.address_bits), Signal(cfg.address_bits)  # words before the row of windows, before it
        place = data.StructLayout({"word": cfg.address_bits, "step": cfg.vector_bits, "inside": 1})
        m.submodules.fetch = fetch = Fetch(place)
        m.d.comb += [
            fetch.i.valid.eq(running),
            fetch.i.payload.word.eq(word),
            fetch.i.payload.step.eq(step),
            fetch.i.payload.inside.eq((window_x < job.src_x) & (window_y < job.src_y)),
            self.winner_address.eq(job.aux + word),
            self.winner_en.eq(fetch.en),
            self.error_word.eq(job.src + row + pixel + group),
            self.error_step.eq(step),
            self.error_en.eq(fetch.en),
        ]
        with m.If(fetch.en):
            m.d.sync += step.eq(step + 1)
            with m.If(step == steps - 1):
                m.d.sync += [step.eq(0), word.eq(word + 1), group.eq(group + 1)]
                with m.If(group + 1 == job.groups):
                    m.d.sync += [group.eq(0), x.eq(x + 1), sub_x.eq(sub_x + 1)]
                    with m.If(sub_x == size - 1):
                        m.d.sync += [sub_x.eq(0), window_x.eq(window_x + 1), pixel.eq(pixel + job.groups)]
                    with m.If(x == job.last_x):
                        m.d.sync += [s.eq(0) for s in (x, sub_x, window_x, pixel)]
                        m.d.sync += [y.eq(y + 1), sub_y.eq(sub_y + 1)]
                        with m.If(sub_y == size - 1):
                            m.d.sync += [sub_y.eq(0), window_y.eq(window_y + 1), row.eq(row + job.count)]
                        m.d.sync += running.eq(y != job.last_y)
        with m.If(self.start):
            cleared = (word, step, group, x, y, sub_x, sub_y, window_x, window_y, row, pixel)
            m.d.sync += [running.eq(1), *(signal.eq(0) for signal in cleared)]

        m.submodules.history = history = History(cfg, 1)
        found, o = Signal(cfg.row_bits), fetch.o.payload
        for lane in range(cfg.lanes):
            part = slice(lane * cfg.width, (lane + 1) * cfg.width)
            mine = self.winners[lane * steps : (lane + 1) * steps].bit_select(o.step, 1) & o.inside
            m.d.comb += found[part].eq(Mux(mine, self.errors[part], 0))
        address = (job.dst + o.word)[: cfg.address_bits]
        m.d.comb += [
            fetch.o.ready.eq(1),
            self.error_address.eq(Cat(o.step[: cfg.step_bits], address)),
            self.error_write.eq(fetch.o.valid),
            self.error_data.eq(found),
            history.step.eq(o.step),
            history.first.eq(o.step == 0),
            history.bits.eq(Cat(found[n : n + cfg.width - 1].any() for n in range(0, cfg.row_bits, cfg.width))),
            history.en.eq(fetch.o.valid),
            self.mask_address.eq(address),
            self.mask_en.eq(fetch.o.valid & (o.step == steps - 1)),
            self.mask.eq(history.word),
            self.busy.eq(running | fetch.o.valid),
        ]
        return m
