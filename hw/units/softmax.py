"""The loss unit of a softmax: from the spike counts of all classes to the errors at their spikes."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.align import Align
from trident.hw.arith.mac import every_lane, mac_request, select_lanes
from trident.hw.arith.sums import Round
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.losses import NUMBERS, error_program, share_program
from trident.hw.units.loss import loss_memory, loss_parts, loss_ports
from trident.hw.units.parts.steps import VectorSteps, connect_tables


class SoftmaxUnit(wiring.Component):
    """Three sweeps over the classes, of ``lanes`` + 2 cycles per group and chunk: the count of the class that fired
    most; the sum of ``x = table[most - spikes fired]``, exact and then rounded once; and the errors, the same at every
    timestep.

    Behind the second sweep runs the first program of :mod:`trident.hw.isa.losses`, in the third, for every group, the
    other. Lanes beyond the classes get +0.

    Members
    -------
    Those of :class:`LossUnit`, and
    request, result... : a client of the shared multiply-adder
    table_address, table_en, tables : per lane, a read port of the function table
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.once, self.each = (
            VectorSteps(cfg, program(), data.StructLayout({}), 1, lambda tag: 0)
            for program in (share_program, error_program)
        )
        tag = max(steps.going.size for steps in (self.once, self.each))
        super().__init__({
            **loss_ports(cfg),
            "request": Out(stream.Signature(mac_request(cfg, tag))),
            "result": In(cfg.row_bits),
            "result_tag": In(tag),
            "result_valid": In(1),
            "table_address": Out(self.once.table_address[0].shape()).array(cfg.lanes),
            "table_en": Out(1),
            "tables": In(self.once.tables[0].shape()).array(cfg.lanes),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, width = self.cfg, self.job, self.cfg.width
        address, value = loss_memory(m, self)
        m.submodules.once, m.submodules.each = once, each = self.once, self.each
        connect_tables(m, self, once)

        group, number = Signal(cfg.address_bits), Signal(cfg.address_bits)  # number: of the class
        row, wanted = Signal(cfg.row_bits), Signal(cfg.lanes)
        classes = Signal(cfg.lanes)  # lanes that are a class
        counts, repeat = loss_parts(m, self, group, row)
        fired, most = counts.fired, Signal.like(counts.fired)
        sweep, share = Signal(range(3)), Signal(width)
        numbers = Array(Signal(width, name=name) for name in NUMBERS)
        last = group + 1 == job.groups[: cfg.address_bits]
        is_class = number < job.count[: cfg.address_bits]
        m.d.comb += address.eq(most - fired)

        # The sum of all x
        total = Signal(cfg.loss_fixed.bits)
        m.submodules.align = align = Align(cfg.format, cfg.loss_fixed)
        m.submodules.round = rounding = Round(cfg.format, cfg.loss_fixed, cfg.round_stages)
        m.d.comb += [align.i.eq(value), align.add.eq(1), rounding.i.eq(total)]

        # One program at a time
        second = Signal()
        for steps_, chosen in ((once, ~second), (each, second)):
            with m.If(chosen):
                m.d.comb += [
                    self.request.valid.eq(steps_.request.valid),
                    self.request.payload.eq(steps_.request.payload),
                    steps_.request.ready.eq(self.request.ready),
                    steps_.result_valid.eq(self.result_valid),
                ]
            m.d.comb += [steps_.result.eq(self.result), steps_.result_tag.eq(self.result_tag)]
        m.d.comb += [
            second.eq(sweep == 2),
            once.i.payload.inputs.total.eq(every_lane(cfg, rounding.o)),
            once.numbers.gain.eq(numbers[NUMBERS.index("gain")]),
            each.i.payload.inputs.x.eq(row),
            each.i.payload.inputs.share.eq(every_lane(cfg, share)),
            each.i.payload.inputs.label.eq(wanted),
            each.numbers.hit.eq(numbers[NUMBERS.index("hit")]),
            each.numbers.miss.eq(numbers[NUMBERS.index("miss")]),
        ]

        def shifted(register, bits, size):
            return register.eq(Cat(register[size:], bits) if cfg.lanes > 1 else bits)

        waited = Signal(range(max(cfg.round_stages, len(NUMBERS)) + 1))
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [group.eq(0), number.eq(0), sweep.eq(0), most.eq(0), total.eq(0), self.busy.eq(1)]
                    m.next = "COUNT"
            with m.State("COUNT"):
                m.d.comb += counts.en.eq(1)
                with m.If(counts.valid):
                    m.d.sync += [
                        number.eq(number + 1), waited.eq(0), shifted(row, value, width),
                        shifted(wanted, number == self.label, 1), shifted(classes, is_class, 1),
                    ]  # fmt: skip
                    with m.If(is_class & (sweep == 0) & (fired > most)):
                        m.d.sync += most.eq(fired)
                    with m.If(is_class & (sweep == 1)):
                        m.d.sync += total.eq(total + align.magnitude)
                with m.If(counts.last):
                    with m.If(sweep == 2):
                        m.next = "ERROR"
                    with m.Elif(~last):
                        m.d.sync += group.eq(group + 1)
                        m.next = "COUNT"
                    with m.Else():
                        m.d.sync += [group.eq(0), number.eq(0)]
                        with m.If(sweep == 0):
                            m.d.sync += sweep.eq(1)
                            m.next = "COUNT"
                        with m.Else():
                            m.next = "NUMBERS"
            with m.State("NUMBERS"):  # while the sum is rounded
                m.d.comb += address.eq(Cat(waited[: len(address) - 1], 0) | 1 << len(address) - 1)
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited < len(NUMBERS)):
                    m.d.sync += numbers[waited].eq(value)
                with m.If(waited == max(cfg.round_stages, len(NUMBERS))):
                    m.next = "ONCE"
            with m.State("ONCE"):
                m.d.comb += once.i.valid.eq(1)
                with m.If(once.i.ready):
                    m.next = "SHARE"
            with m.State("SHARE"):
                with m.If(once.done):
                    m.d.sync += [share.eq(once.outputs.share[:width]), sweep.eq(2)]
                    m.next = "COUNT"
            with m.State("ERROR"):
                m.d.comb += each.i.valid.eq(1)
                with m.If(each.i.ready):
                    m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(each.done):
                    m.d.sync += row.eq(select_lanes(cfg, classes, each.outputs.e, 0))
                    m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += repeat.en.eq(1)
                with m.If(repeat.done):
                    m.d.sync += group.eq(group + 1)
                    m.next = "COUNT"
                    with m.If(last):
                        m.d.sync += self.busy.eq(0)
                        m.next = "IDLE"
        return m
