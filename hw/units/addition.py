"""The addition unit: sums of a layer, or the errors at them, and those of another."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.mac import mac_request
from trident.hw.isa.adds import ADDITION
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.units.parts.history import History
from trident.hw.units.parts.steps import VectorSteps, connect_steps


class AdditionUnit(wiring.Component):
    """Adds the rows of ``count`` words to those of as many others, one addition per lane and row, rounded once. A core
    has one for sums and one for errors, of which it writes the masks as well.

    A row takes two cycles, in which its operands are read.

    Members
    -------
    job : In: ``src``, the first word of one operand; ``dst``, the first that is written; ``aux``, words from there to
        the other operand, 0: it is written over; ``count``; ``take``: that at ``src``, and not the other, passes the
        multiplier, which may flush subnormals
    start : In(1), a pulse; busy : Out(1)
    request, result... : a client of the shared multiply-adder
    row_word, row_step, row_en, rows : read port for rows
    row_address, row_write, row_data : write port for rows (row = word, timestep)
    mask_address, mask_en, mask : write port for masks, which say what is not zero
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        tag = data.StructLayout({"word": cfg.address_bits, "step": cfg.vector_bits})
        self.steps = steps = VectorSteps(cfg, (ADDITION,), tag, 1, lambda tag: 0)
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "busy": Out(1),
            "request": Out(stream.Signature(mac_request(cfg, steps.going.size))),
            "result": In(cfg.row_bits), "result_tag": In(steps.going.size), "result_valid": In(1),
            "row_word": Out(cfg.address_bits), "row_step": Out(cfg.vector_bits), "row_en": Out(1),
            "rows": In(cfg.row_bits),
            "row_address": Out(cfg.address_bits + cfg.step_bits), "row_write": Out(1), "row_data": Out(cfg.row_bits),
            "mask_address": Out(cfg.address_bits), "mask_en": Out(1), "mask": Out(cfg.spike_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, width = self.cfg, self.job, self.cfg.width
        m.submodules.steps = steps = self.steps
        connect_steps(m, self, steps)
        running, second, pending = Signal(), Signal(), Signal()  # the other operand is read; both are there
        word, step, held = Signal(cfg.address_bits), Signal(cfg.vector_bits), Signal(cfg.row_bits)
        under_way = Signal(range(cfg.mac_stages + 4))
        taken, first, tag = Signal(), Signal(), Signal.like(steps.i.payload.tag)
        last_step = step == cfg.timesteps - 1
        m.d.comb += [
            taken.eq(pending & steps.i.ready),
            first.eq(running & ~second & (~pending | taken)),
            self.row_word.eq(Mux(second == job.take, job.dst + job.aux, job.src) + word),
            self.row_step.eq(step),
            self.row_en.eq(first | second),
            steps.i.valid.eq(pending),
            steps.i.payload.tag.eq(tag),
            steps.i.payload.inputs.a.eq(held),
            steps.i.payload.inputs.b.eq(self.rows),
            self.busy.eq(running | pending | under_way.any()),
        ]
        m.d.sync += under_way.eq(under_way + taken - steps.done)
        with m.If(taken):
            m.d.sync += pending.eq(0)
        with m.If(self.start):
            m.d.sync += [running.eq(1), word.eq(0), step.eq(0)]
        with m.Elif(first):
            m.d.sync += second.eq(1)
        with m.Elif(second):
            m.d.sync += [
                second.eq(0), pending.eq(1), held.eq(self.rows), tag.word.eq(word), tag.step.eq(step),
                step.eq(Mux(last_step, 0, step + 1)), word.eq(word + last_step),
            ]  # fmt: skip
            with m.If(last_step & (word + 1 == job.count)):
                m.d.sync += running.eq(0)

        m.submodules.history = history = History(cfg, 1)  # rows come back in their order
        there, total = steps.there.total, steps.outputs.total
        address = (job.dst + steps.tag.word)[: cfg.address_bits]
        m.d.comb += [
            self.row_address.eq(Cat(steps.tag.step[: cfg.step_bits], address)),
            self.row_write.eq(there),
            self.row_data.eq(total),
            history.step.eq(steps.tag.step),
            history.first.eq(steps.tag.step == 0),
            history.bits.eq(Cat(total[n : n + width - 1].any() for n in range(0, cfg.row_bits, width))),
            history.en.eq(there),
            self.mask_address.eq(address),
            self.mask_en.eq(there & (steps.tag.step == cfg.timesteps - 1)),
            self.mask.eq(history.word),
        ]
        return m
