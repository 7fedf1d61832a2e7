"""The join unit: joins the spikes of windows that may overlap, and says which pixel of each has its error."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.units.parts.window_walk import WindowWalk, window_pixel


class JoinUnit(wiring.Component):
    """A window fires when one of its pixels does. Its error goes to the first that fired or, where none did, to the
    first that is within the image: the window's *winner*. One pixel per granted cycle.

    Members
    -------
    job : In: ``dst`` is the first word that is written, ``aux`` the first word of winners; see :class:`WindowWalk`
    start : In(1), a pulse; busy : Out(1)
    spike_address, spike_request : Out, asks for a spike word; spike_grant : In(1), it follows in the next cycle
    spikes : In, the word
    word_address, word_en, word : write port for spikes
    winner_address, winner_en, winner : write port for winners, in each lane and at each timestep the pixel's place in
        the window: a spike word for each bit of it
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "busy": Out(1),
            "spike_address": Out(cfg.address_bits), "spike_request": Out(1), "spike_grant": In(1),
            "spikes": In(cfg.spike_bits),
            "word_address": Out(cfg.address_bits), "word_en": Out(1), "word": Out(cfg.spike_bits),
            "winner_address": Out(cfg.address_bits), "winner_en": Out(1), "winner": Out(cfg.winner_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        m.submodules.walk = walk = WindowWalk(cfg)
        m.d.comb += [
            walk.job.eq(self.job),
            walk.start.eq(self.start),
            self.spike_address.eq(walk.o.payload.word),
            self.spike_request.eq(walk.o.valid),
            walk.o.ready.eq(self.spike_grant),
        ]
        # A cycle later
        there, pixel = Signal(), Signal(window_pixel(cfg))
        m.d.sync += [there.eq(self.spike_grant), pixel.eq(walk.o.payload)]
        begun, fired = Signal(), Signal(cfg.spike_bits)  # a pixel was inside; where one has fired
        found = Signal(data.ArrayLayout(cfg.spike_bits, 2 * cfg.tap_bits))
        any_fired, winner, new = Signal(cfg.spike_bits), Signal(found.shape()), Signal(cfg.spike_bits)
        m.d.comb += [
            new.eq(Mux(pixel.inside, self.spikes & ~fired | (~begun).replicate(cfg.spike_bits), 0)),
            any_fired.eq(fired | Mux(pixel.inside, self.spikes, 0)),
            *(winner[n].eq(Mux(pixel.tap[n], own | new, own & ~new)) for n, own in enumerate(found)),
            self.word_address.eq(self.job.dst + pixel.window),
            self.word.eq(any_fired),
            self.word_en.eq(there & pixel.last),
            self.winner_address.eq(self.job.aux + pixel.window),
            self.winner.eq(Cat(*winner)),
            self.winner_en.eq(there & pixel.last),
            self.busy.eq(walk.o.valid | there),
        ]
        with m.If(there):
            m.d.sync += [
                begun.eq((begun | pixel.inside) & ~pixel.last), fired.eq(Mux(pixel.last, 0, any_fired)),
                found.eq(winner),
            ]  # fmt: skip
        return m
