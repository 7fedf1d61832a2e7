"""The loss unit of a softmax: from the outputs of all classes to the errors at these."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.align import Align
from trident.hw.arith.compare import sort_key
from trident.hw.arith.mac import every_lane, mac_request, select_lanes
from trident.hw.arith.sums import Round
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.losses import NUMBERS
from trident.hw.lib.streams import connect
from trident.hw.units.loss import count_classes, loss_memory, loss_ports, next_group, repeat_errors
from trident.hw.units.parts.step_errors import StepErrors
from trident.hw.units.parts.steps import VectorSteps, connect_steps


def step_errors(m: Module, unit: "SoftmaxUnit", group, row) -> StepErrors:
    """What walks the timesteps, and gives the ``row`` of a group's errors at each."""
    m.submodules.step_errors = by_step = StepErrors(unit.cfg)
    m.d.comb += [
        by_step.first.eq(unit.job.aux), by_step.group.eq(group), by_step.stride.eq(unit.job.groups),
        by_step.row.eq(row), unit.potential_address.eq(by_step.address),
    ]  # fmt: skip
    connect(m, by_step.o, unit.o)
    return by_step


class SoftmaxUnit(wiring.Component):
    """Three sweeps over the classes: the largest output; the sum of all ``x = exp(output - largest)``, exact and then
    rounded once; and the errors, the same at every timestep.

    An output is the table's entry of how often the class fired or, with the loss "membrane", what a readout has
    written. With the loss "steps" outputs are the potentials of readouts at a timestep, and each has three sweeps of
    its own, the last one first. With ``loss_tables`` of more than 1 every label has numbers of its own for the last two
    programs; with ``soft_targets`` the last sweep reads from there what is wanted of each class, a cycle for each.

    A group takes ``lanes`` + 2 cycles per chunk and voter, or two per word of outputs, to be read, and in the first two
    sweeps ``lanes`` more. In the second sweep every group runs the first program of :mod:`trident.hw.isa.losses`,
    behind it runs the second, and in the third every group runs the last. Lanes beyond the classes get +0.

    Members
    -------
    Those of :class:`LossUnit`, and
    idle : In(1), the neuron-gradient unit is, which reads the function table as the programs do
    request, result... : a client of the shared multiply-adder
    table_address, table_en, tables : per lane, a read port of the function table
    potential_address, potential_en, potentials : with the loss "steps", a read port for potentials
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.steps = steps = VectorSteps(cfg, cfg.loss_programs, data.StructLayout({}), 1, lambda tag: 0)
        super().__init__({
            **loss_ports(cfg),
            "idle": In(1, init=1),
            "request": Out(stream.Signature(mac_request(cfg, steps.going.size))),
            "result": In(cfg.row_bits),
            "result_tag": In(steps.going.size),
            "result_valid": In(1),
            "table_address": Out(steps.table_address[0].shape()).array(cfg.lanes),
            "table_en": Out(1),
            "tables": In(steps.tables[0].shape()).array(cfg.lanes),
            **({
                "potential_address": Out(cfg.address_bits + cfg.step_bits), "potential_en": Out(1),
                "potentials": In(cfg.row_bits),
            } if cfg.loss == "steps" else {}),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, width = self.cfg, self.job, self.cfg.width
        address, value = loss_memory(m, self)
        group = Signal(cfg.address_bits)
        first = Signal(cfg.address_bits + 1)  # class of the group
        row, lane = Signal(cfg.row_bits), Signal(range(max(cfg.lanes, 2)))
        repeat, reads_out, by_step = None, cfg.loss == "membrane", None
        if cfg.loss == "steps":
            by_step = step_errors(m, self, group, row)
        else:
            repeat = repeat_errors(m, self, group, row)
        if reads_out:
            words, word = Signal(cfg.output_words * cfg.spike_bits), Signal(range(max(cfg.output_words, 2)))
        elif not by_step:
            counts = count_classes(m, self, group)
            m.d.comb += address.eq(counts.fired)
        most, empty = Signal(width), Signal()  # empty: of no class yet
        sweep, share = Signal(range(3)), Signal(width)
        numbers = Array(Signal(width, name=name) for name in NUMBERS)
        following = next_group(self, group)
        last = following == job.groups[: cfg.address_bits]
        is_class = first + lane < job.count
        if cfg.voters == 1:
            m.d.comb += first.eq(group << cfg.lane_bits)

        # The sum of all x
        total = Signal(cfg.loss_fixed.bits)
        m.submodules.align = align = Align(cfg.format, cfg.loss_fixed)
        m.submodules.round = rounding = Round(cfg.format, cfg.loss_fixed, cfg.round_stages)
        m.d.comb += [align.i.eq(row[:width]), align.add.eq(1), rounding.i.eq(total)]

        # The programs
        m.submodules.steps = steps = self.steps
        connect_steps(m, self, steps)
        found = {
            "z": row, "most": every_lane(cfg, most), "total": every_lane(cfg, rounding.o),
            "share": every_lane(cfg, share), "label": Cat(first + n == self.label for n in range(cfg.lanes)),
        }  # fmt: skip
        if cfg.soft_targets:
            wanted = Signal(cfg.row_bits)
            found["wanted"] = wanted
        program = Signal(range(3))
        m.d.comb += [
            steps.which.eq(program),
            *(steps.i.payload.inputs[name].eq(found[name]) for name, _ in steps.inputs),
            *(steps.numbers[name].eq(numbers[NUMBERS.index(name)]) for name, _ in steps.numbers.shape()),
        ]

        def shifted(bits):
            return row.eq(Cat(row[width:], bits) if cfg.lanes > 1 else bits)

        def begin():
            """The outputs are there."""
            m.next = "RUN"
            with m.If(sweep == 0):
                m.next = "SCAN"
            if cfg.soft_targets:
                with m.Elif(sweep == 2):
                    m.next = "WANTED"

        def follow():
            """The next group, of this sweep or the next one."""
            m.d.sync += group.eq(Mux(last, 0, following))
            if cfg.voters > 1:
                m.d.sync += first.eq(Mux(last, 0, first + cfg.lanes))
            m.next = "READ"

        waited = Signal(range(max(cfg.round_stages, len(NUMBERS)) + 1))
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [group.eq(0), sweep.eq(0), empty.eq(1), total.eq(0), self.busy.eq(1)]
                    if by_step:
                        m.d.comb += by_step.start.eq(1)
                    m.next = "READ"
            with m.State("READ"):
                m.d.sync += [lane.eq(0), waited.eq(0), program.eq(Mux(sweep == 1, 0, 2))]
                if by_step:
                    m.d.comb += self.potential_en.eq(1)
                    m.next = "TAKE"
                elif reads_out:
                    m.d.comb += [
                        self.spike_request.eq(1), self.spike_address.eq(job.aux + group * cfg.output_words + word)
                    ]  # fmt: skip
                    with m.If(self.spike_grant):
                        m.next = "TAKE"
                else:
                    m.d.comb += counts.en.eq(1)
                    with m.If(counts.valid):
                        m.d.sync += shifted(value)
                    with m.If(counts.last):
                        begin()
            if by_step:
                with m.State("TAKE"):
                    m.d.sync += row.eq(self.potentials)
                    begin()
            if reads_out:
                with m.State("TAKE"):
                    taken = Cat(words[cfg.spike_bits :], self.spikes)
                    m.d.sync += [words.eq(taken), row.eq(taken), word.eq(word + 1)]
                    m.next = "READ"
                    with m.If(word == cfg.output_words - 1):
                        m.d.sync += word.eq(0)
                        begin()
            with m.State("SCAN"):  # lane by lane: the largest, or the sum
                m.d.sync += [lane.eq(lane + 1), shifted(row[:width])]
                above = sort_key(row[:width]) > sort_key(most)
                with m.If(is_class & (sweep == 0) & (empty | above)):
                    m.d.sync += [most.eq(row[:width]), empty.eq(0)]
                with m.If(is_class & (sweep == 1)):
                    m.d.sync += total.eq(total + align.magnitude)
                with m.If(lane == cfg.lanes - 1):
                    follow()
                    with m.If(last):
                        m.d.sync += sweep.eq(sweep + 1)
                        with m.If(sweep == 1):
                            m.next = "NUMBERS"
            with m.State("NUMBERS"):  # while the sum is rounded
                m.d.comb += address.eq(Cat(waited[: len(address) - 1], 0) | 1 << len(address) - 1)
                m.d.sync += [waited.eq(waited + 1), program.eq(1)]
                with m.If(waited < len(NUMBERS)):
                    m.d.sync += numbers[waited].eq(value)
                with m.If(waited == max(cfg.round_stages, len(NUMBERS))):
                    m.next = "RUN"
            if cfg.soft_targets:
                with m.State("WANTED"):  # lane by lane: what is wanted of each class
                    own = len(NUMBERS) + first + lane
                    m.d.comb += address.eq(Cat(own[: len(address) - 1], 1))
                    m.d.sync += [wanted.eq(Cat(wanted[width:], value[:width]) if cfg.lanes > 1 else value),
                                 lane.eq(lane + 1)]  # fmt: skip
                    with m.If(lane == cfg.lanes - 1):
                        m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += steps.i.valid.eq(self.idle)
                with m.If(self.idle & steps.i.ready):
                    m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(steps.done):
                    with m.Switch(program):
                        with m.Case(0):
                            m.d.sync += row.eq(steps.outputs.x)
                            m.next = "SCAN"
                        with m.Case(1):
                            m.d.sync += share.eq(steps.outputs.share[:width])
                            m.next = "READ"
                        with m.Default():
                            classes = Cat(first + n < job.count for n in range(cfg.lanes))
                            m.d.sync += row.eq(select_lanes(cfg, classes, steps.outputs.e, 0))
                            m.next = "EMIT"
            with m.State("EMIT"):
                errors = by_step or repeat
                m.d.comb += errors.en.eq(1)
                with m.If(errors.done):
                    follow()
                    with m.If(last):
                        if by_step:  # the timestep before, from its first sweep on
                            m.d.comb += by_step.next.eq(1)
                            m.d.sync += [sweep.eq(0), empty.eq(1), total.eq(0)]
                        with m.If(by_step.last if by_step else 1):
                            m.d.sync += self.busy.eq(0)
                            m.next = "IDLE"
        return m
