"""The spread unit: the error of every window goes to the pixel that was its largest."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import error_item, place_error
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.lib.fetch import Fetch
from trident.hw.units.parts.history import History
from trident.hw.units.parts.pixel_walk import PixelWalk, pixel_window
from trident.hw.units.parts.row_sums import RowSums


class SpreadUnit(wiring.Component):
    """Makes the errors of an image, row by row: the sum of the errors of those windows that a lane's pixel was the
    largest of, exact and rounded once; where windows do not overlap, the window's error as it is. They are written
    with their masks or, of spikes that were joined, go to the neuron-gradient unit, in its order: as many words as
    there can be neurons under way, at the last timestep, then at the one before.

    A row takes a cycle for each window that its pixel is in, and one if it is in none; further cycles pass between the
    last of them and the row's end, not between rows.

    Members
    -------
    job : In: ``src`` is a word of the windows' errors, ``aux`` one of winners, ``dst`` the first word of the image's
        errors; which, and the others, see :class:`PixelWalk`; ``exponent``: from which code on an error is too large;
        ``final``: rows go to the neuron-gradient unit
    start : In(1), a pulse; busy : Out(1); nonfinite : Out(1), an error is too large
    winner_address, winner_en, winners : read port for winners
    error_word, error_step, error_en, errors : read port for errors; error_address, error_write, error_data : write
        port (row = word, timestep); mask_address, mask_en, mask : for error masks
    o : stream of rows of e with their tags
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg, self.payloads, self.items = cfg, Payloads(cfg, "backward"), cfg.items("backward")
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "busy": Out(1), "nonfinite": Out(1),
            "winner_address": Out(cfg.address_bits), "winner_en": Out(1), "winners": In(cfg.winner_bits),
            "error_word": Out(cfg.address_bits), "error_step": Out(cfg.vector_bits), "error_en": Out(1),
            "errors": In(cfg.row_bits),
            "error_address": Out(cfg.address_bits + cfg.step_bits), "error_write": Out(1),
            "error_data": Out(cfg.row_bits),
            "mask_address": Out(cfg.address_bits), "mask_en": Out(1), "mask": Out(cfg.spike_bits),
            "o": Out(stream.Signature(error_item(self.payloads))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.cfg, self.job
        m.submodules.walk = walk = PixelWalk(cfg)
        m.submodules.fetch = fetch = Fetch(pixel_window(self.payloads))
        asked, room = walk.o.payload, Signal()  # for one more row
        m.d.comb += [
            walk.job.eq(job),
            walk.start.eq(self.start),
            walk.o.ready.eq(fetch.en),
            fetch.i.payload.eq(asked),
            fetch.i.valid.eq(walk.o.valid & (room | ~asked.first)),
            self.winner_address.eq(job.aux + asked.word),
            self.winner_en.eq(fetch.en),
            self.error_word.eq(job.src + asked.word),
            self.error_step.eq(asked.place.step),
            self.error_en.eq(fetch.en),
        ]

        # A cycle later: the window's error where its pixel is the largest
        o, steps, width, chosen = fetch.o.payload, cfg.timesteps, cfg.width, Signal(cfg.row_bits)
        for lane in range(cfg.lanes):
            part = slice(lane * width, (lane + 1) * width)
            tap = Cat(
                self.winners[(n * cfg.lanes + lane) * steps :][:steps].bit_select(o.place.step, 1)
                for n in range(2 * cfg.tap_bits)
            )
            m.d.comb += chosen[part].eq(Mux(o.inside & (tap == o.tap), self.errors[part], 0))
        m.d.comb += fetch.o.ready.eq(1)
        total, there, at, latency = chosen, fetch.o.valid & o.last, o.place, 0
        if cfg.overlap:
            m.submodules.sums = sums = RowSums(cfg)
            m.d.comb += [
                sums.row.eq(chosen), sums.en.eq(fetch.o.valid), sums.first.eq(o.first), sums.last.eq(o.last),
                sums.limit.eq(job.exponent), self.nonfinite.eq(sums.large),
            ]  # fmt: skip
            total, there, latency = sums.total, sums.there, sums.latency
            for n in range(latency):
                stage = Signal(at.shape(), name=f"place{n}")
                m.d.sync += stage.eq(at)
                at = stage

        # Rows wait for the neuron-gradient unit, and none begins that would find no place
        item_of_row, depth = error_item(self.payloads), latency + 4
        m.submodules.rows = rows = fifo.SyncFIFO(width=item_of_row.size, depth=depth)
        entering, held = Signal(item_of_row), Signal(range(depth + 1))
        taken = rows.r_en & rows.r_rdy
        m.d.sync += held.eq(held + (fetch.en & asked.first) - taken)
        m.d.comb += [
            room.eq(held < depth),
            entering.row.eq(total),
            *place_error(self.payloads, entering.tag, at, job.carry),
            rows.w_data.eq(entering),
            rows.w_en.eq(there),
            self.o.payload.eq(rows.r_data),
            self.o.valid.eq(rows.r_rdy & job.final),
            rows.r_en.eq(self.o.ready | ~job.final),
            self.busy.eq(walk.o.valid | held.any()),
        ]
        self._write(m, taken & ~job.final, self.o.payload)
        return m

    def _write(self, m: Module, en, row):
        """A row to memory and, with the last of a word, its mask."""
        cfg, width = self.cfg, self.cfg.width
        m.submodules.history = history = History(cfg, self.items)
        address = (self.job.dst + row.tag.address)[: cfg.address_bits]
        m.d.comb += [
            self.error_address.eq(Cat(row.tag.step[: cfg.step_bits], address)),
            self.error_write.eq(en),
            self.error_data.eq(row.row),
            history.item.eq(row.tag.item),
            history.step.eq(row.tag.step),
            history.first.eq(row.tag.step == cfg.timesteps - 1),
            history.bits.eq(Cat(row.row[n : n + width - 1].any() for n in range(0, cfg.row_bits, width))),
            history.en.eq(en),
            self.mask_address.eq(address),
            self.mask_en.eq(en & (row.tag.step == 0)),
            self.mask.eq(history.word),
        ]
