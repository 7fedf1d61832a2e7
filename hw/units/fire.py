"""The unit that gives the neuron unit sums which a norm has scaled."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import neuron_item
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.lib.fetch import Fetch


class FireUnit(wiring.Component):
    """Reads the sums of a sample in the order of the neuron unit: as many words as there can be neurons under way, at
    the first timestep, then at the next one. A row per cycle.

    Members
    -------
    job : In: ``src`` is the first word of sums, of ``count``; ``groups``, words per pixel, where neurons learn their
        leaks; the neurons' fields are the neuron unit's
    start : In(1), a pulse; busy : Out(1)
    sum_address, sum_en, sums : read port for sums (row = word, timestep)
    o : stream of rows, see :func:`neuron_item`
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg, self.payloads = cfg, Payloads(cfg, "forward")
        super().__init__({
            "job": In(JOB.shape()),
            "start": In(1),
            "busy": Out(1),
            "sum_address": Out(cfg.address_bits + cfg.step_bits),
            "sum_en": Out(1),
            "sums": In(cfg.row_bits),
            "o": Out(stream.Signature(neuron_item(self.payloads))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, items = self.cfg, self.job, self.cfg.items("forward")
        running, word = Signal(), Signal(cfg.address_bits)
        first, item = Signal(cfg.address_bits), Signal(range(max(items, 2)))  # of the neurons under way
        step = Signal(cfg.vector_bits)
        place = data.StructLayout(self.payloads.place.members)
        m.submodules.fetch = fetch = Fetch(place)
        last_item = (item == items - 1) | (word + 1 == job.count)
        last_step = step == cfg.timesteps - 1
        m.d.comb += [
            word.eq(first + item),
            fetch.i.valid.eq(running),
            fetch.i.payload.address.eq(word),
            fetch.i.payload.item.eq(item),
            fetch.i.payload.step.eq(step),
            self.sum_address.eq(Cat(step[: cfg.step_bits], (job.src + word)[: cfg.address_bits])),
            self.sum_en.eq(fetch.en),
            self.o.payload.tag.eq(fetch.o.payload),
            self.o.payload.row.eq(self.sums),
            self.o.valid.eq(fetch.o.valid),
            fetch.o.ready.eq(self.o.ready),
            self.busy.eq(running | fetch.o.valid),
        ]
        with m.If(self.start):
            m.d.sync += [running.eq(1), first.eq(0), item.eq(0), step.eq(0)]
        with m.Elif(fetch.en):
            m.d.sync += item.eq(item + 1)
            with m.If(last_item):
                m.d.sync += [item.eq(0), step.eq(step + 1)]
                with m.If(last_step):
                    m.d.sync += [step.eq(0), first.eq(word + 1), running.eq(word + 1 != job.count)]
        if cfg.learns:
            group, first_group = Signal(cfg.address_bits), Signal(cfg.address_bits)  # of the word at hand, of ``first``
            following = Mux(group + 1 == job.groups, 0, group + 1)
            m.d.comb += fetch.i.payload.group.eq(group)
            with m.If(self.start):
                m.d.sync += [group.eq(0), first_group.eq(0)]
            with m.Elif(fetch.en):
                m.d.sync += group.eq(Mux(last_item & ~last_step, first_group, following))
                with m.If(last_item & last_step):
                    m.d.sync += first_group.eq(following)
        return m
