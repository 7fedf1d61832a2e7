"""The errors of classes, timestep by timestep."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import error_item
from trident.hw.isa.config import CoreConfig


class StepErrors(wiring.Component):
    """Walks the timesteps of a sample, the last one first, and gives a row of errors for each group of classes.

    Members
    -------
    first : In, the layer's first word; group : In, which group of lanes; stride : In, words from chunk to chunk
    start : In(1), go to the last timestep; next : In(1), go to the one before; last : Out(1), it is the first of all
    address : Out, of the group's row of potentials at the timestep (row = word, timestep)
    row : In, errors; en : In(1), give them; done : Out(1), they are taken
    o : stream of rows of e
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        address = cfg.address_bits
        super().__init__({
            "first": In(address), "group": In(address), "stride": In(address),
            "start": In(1), "next": In(1), "last": Out(1),
            "address": Out(address + cfg.step_bits),
            "row": In(cfg.row_bits), "en": In(1), "done": Out(1),
            "o": Out(stream.Signature(error_item(Payloads(cfg, "backward")))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, tag, many = self.cfg, self.o.payload.tag, self.cfg.chunks > 1
        step, ahead = Signal(range(max(cfg.timesteps, 2))), Signal(cfg.address_bits)
        chunk = Signal(range(max(cfg.chunks, 2)))  # from the last one on
        word = Signal(cfg.address_bits)  # of the group, behind the layer's first
        m.d.comb += [
            word.eq(self.group + ahead),
            self.address.eq(Cat(step[: cfg.step_bits], (self.first + word)[: cfg.address_bits])),
            self.last.eq((step == 0) & (chunk == cfg.chunks - 1)),
            self.o.valid.eq(self.en),
            self.o.payload.row.eq(self.row),
            tag.step.eq(step),
            tag.address.eq(word),
            tag.item.eq(self.group),
            self.done.eq(self.en & self.o.ready),
        ]
        if many:
            m.d.comb += [tag.carry.eq(chunk != 0), tag.word.eq(self.group)]
        if cfg.learns:
            m.d.comb += tag.group.eq(self.group)
        with m.If(self.start):
            m.d.sync += [step.eq(cfg.timesteps - 1), chunk.eq(0), ahead.eq((cfg.chunks - 1) * self.stride)]
        with m.Elif(self.next):
            m.d.sync += step.eq(step - 1)
            with m.If(step == 0):
                m.d.sync += [step.eq(cfg.timesteps - 1), chunk.eq(chunk + 1), ahead.eq(ahead - self.stride)]
        return m
