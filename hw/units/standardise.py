"""The update unit of a core with standardised weights: passes of vector programs over the rows of channels."""

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.compare import sort_key
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.microcode import UPDATE_NUMBERS, number_fields
from trident.hw.isa.optimisers import KEPT, kept_names
from trident.hw.isa.passes import Pass, channel_numbers, programs_of
from trident.hw.isa.standardise import NUMBERS, RAW
from trident.hw.lib.fetch import Fetch
from trident.hw.lib.streams import connect
from trident.hw.units.parts.lane_sums import LaneSums
from trident.hw.units.parts.row_walk import RowWalk
from trident.hw.units.parts.steps import VectorSteps, connect_steps
from trident.hw.units.update import gradient_rows, rows_under_way, update_ports


class StandardiseUnit(wiring.Component):
    """Updates parameters as :class:`UpdateUnit` does and, in a job with ``blocks`` that are not 0, the standardised
    weights of a layer: the passes of ``cfg.passes``, for one group of ``lanes`` output channels after another. With
    ``skip`` gradients are only cleared.

    A pass takes a cycle per row and step of its program, and then the latency of the last row. If its rows are summed,
    the sums are rounded (``lanes + round_stages`` cycles) and one row runs the program behind it.

    Members
    -------
    job : In. Of standardised weights: ``tile``; ``group_step``, groups, which is also the tiles from one block to the
        next; ``blocks``, input channels of a tap; ``count``, rows of a group; numbers, see
        :mod:`trident.hw.isa.standardise`; ``words``, the power of two that sums are divided by; ``pass_groups``, the
        exponent code from which on a number is too large for a sum
    saturated : Out(1), an exact gradient is too large for a float, or a number or its sum for a sum
    raw : as ``weights``, the weights that standardised ones are made of
    read : Out, by memory: a row is read, at ``row_address``
    Others are those of :class:`UpdateUnit`, but ``numbers`` and ``row_read``.
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.kept = kept_names(cfg.update_program)
        self.passes = (Pass(cfg.update_program), *cfg.passes)
        self.clears = next(n for n, step in enumerate(self.passes[1:], 1) if not step.then)  # with the optimiser's step
        self.programs = programs_of(self.passes)
        self.under_way = rows_under_way(cfg)
        address = max((cfg.weight_rows - 1).bit_length(), 1)
        tag = data.StructLayout({"address": address, "slot": range(self.under_way)})
        self.steps = steps = VectorSteps(cfg, self.programs, tag, self.under_way, lambda tag: tag.slot)
        ports = update_ports(cfg, steps, (*self.kept, "w"))
        del ports["row_read"]
        self.memories = (*(KEPT[name] for name in self.kept), "weights", RAW)
        super().__init__({
            "job": In(JOB.shape()),
            "start": In(1),
            "busy": Out(1),
            "skip": In(1),
            **ports,
            RAW: ports["weights"],
            "read": Out(data.StructLayout(dict.fromkeys(self.memories, 1))),
        })  # fmt: skip

    def reads(self, memory: str):
        """Whether a row is read from the memory of this name."""
        return self.read[memory]

    def elaborate(self, platform):
        m = Module()
        cfg, job, steps = self.cfg, self.job, self.steps
        m.submodules.steps = steps
        m.submodules.walk = walk = RowWalk(cfg)
        m.submodules.sums = sums = LaneSums(cfg)
        connect_steps(m, self, steps)
        number = Signal(range(len(self.passes)))  # of the pass
        single = number == 0

        def of_pass(values):
            return Array(map(int, values))[number]

        # The rows of a group, with their gradients, then with the rest
        group, groups_left = Signal(walk.first.shape()), Signal(16)
        standard = job.blocks.any()
        m.submodules.fetch = fetch = Fetch(walk.first.shape())
        wiring.connect(m, walk.o, fetch.i)
        cleared = of_pass([n in (0, self.clears) for n in range(len(self.passes))])
        wants_gradient = of_pass([step.reads("g") for step in self.passes])
        m.d.comb += [
            walk.first.eq(group),
            walk.step.eq(Mux(standard, job.group_step << cfg.lane_bits, job.group_step)),
            walk.channels.eq(Mux(standard, job.blocks, 1)),
            walk.count.eq(job.count),
            self.gradient_address.eq(walk.o.payload),
            self.gradient_read.eq(fetch.en & wants_gradient),
            self.gradient_clear_address.eq(fetch.o.payload),
            self.gradient_clear.eq(fetch.o.valid & fetch.o.ready & cleared),
        ]
        rounded, rounding, saturated = gradient_rows(m, self, fetch)
        m.submodules.turn = turn = Fetch(rounded.payload.shape())
        connect(m, rounded, turn.i)
        wanted = {RAW: "w", **{KEPT[name]: name for name in self.kept}}
        m.d.comb += self.row_address.eq(turn.i.payload.beside)
        for memory in self.memories:
            if memory == "weights":
                wants = [step.reads("z") or n == 0 for n, step in enumerate(self.passes)]
            else:
                wants = [step.reads(wanted[memory]) and (n > 0 or memory != RAW) for n, step in enumerate(self.passes)]
            m.d.comb += self.read[memory].eq(turn.en & of_pass(wants))

        # Their programs
        slot, under_way = Signal(range(self.under_way)), Signal(range(self.under_way + 1))
        enters = steps.i.valid & steps.i.ready
        m.d.sync += [slot.eq(slot + enters), under_way.eq(under_way + enters - steps.done)]
        channels = {name: Signal(cfg.row_bits, name=name) for name in channel_numbers(self.passes)}
        for name, value in channels.items():
            with m.If(steps.there[name]):
                m.d.sync += value.eq(steps.outputs[name])
        ports = {KEPT[name]: getattr(self, KEPT[name]) for name in self.kept}
        found = {name: ports[KEPT[name]].old for name in self.kept} | channels | {
            "g": turn.o.payload.row, "w": Mux(single, self.weights.old, self.raw.old), "z": self.weights.old,
            "total": sums.total,
        }  # fmt: skip
        which_program = Signal(steps.which.shape())
        free = under_way != self.under_way
        m.d.comb += [
            *(steps.i.payload.inputs[name].eq(found[name]) for name, _ in steps.inputs),
            steps.which.eq(which_program),
            steps.i.payload.tag.address.eq(turn.o.payload.beside),
            steps.i.payload.tag.slot.eq(slot),
            steps.i.valid.eq(turn.o.valid & free),
            turn.o.ready.eq(steps.i.ready & free),
            self.row_write_address.eq(steps.tag.address),
            self.raw.new.eq(steps.outputs.w),
            self.raw.write.eq(steps.there.w & ~single),
            self.weights.new.eq(Mux(single, steps.outputs.w, steps.outputs.z)),
            self.weights.write.eq(steps.there.w & single | steps.there.z),
        ]
        for name in self.kept:
            port = ports[KEPT[name]]
            m.d.comb += [port.write.eq(steps.there[name]), port.new.eq(steps.outputs[name])]
        self._numbers(m)

        # Sums
        m.d.comb += [
            sums.row.eq(steps.outputs.term),
            sums.en.eq(steps.there.term),
            sums.limit.eq(job.pass_groups),
            sums.power.eq(job.words),
            self.saturated.eq(sums.large | (saturated & wants_gradient if cfg.exact else 0)),
        ]

        # Pass by pass, group by group
        begin, end = Signal(number.shape()), Signal(number.shape())
        rows_of = of_pass([self.programs.index(step.rows) for step in self.passes])
        then_of = of_pass([self.programs.index(step.then or step.rows) for step in self.passes])
        summed = of_pass([step.then is not None for step in self.passes])
        m.d.comb += [
            begin.eq(Mux(standard, Mux(self.skip, self.clears, 1), 0)),
            end.eq(Mux(standard, Mux(self.skip, self.clears, len(self.passes) - 1), 0)),
        ]
        with m.FSM() as states:
            m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [
                        group.eq(job.tile << cfg.lane_bits), number.eq(begin),
                        groups_left.eq(Mux(standard, job.group_step, 1)),
                    ]  # fmt: skip
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.comb += [walk.start.eq(1), sums.clear.eq(1)]
                m.d.sync += which_program.eq(rows_of)
                m.next = "ROWS"
            with m.State("ROWS"):
                with m.If(~(walk.o.valid | fetch.o.valid | rounding | turn.o.valid | under_way.any())):
                    m.next = "NEXT"
                    with m.If(summed & ~self.skip):
                        m.d.comb += sums.round.eq(1)
                        m.next = "ROUND"
            with m.State("ROUND"):
                m.d.sync += which_program.eq(then_of)
                with m.If(sums.done):
                    m.next = "CHANNELS"
            with m.State("CHANNELS"):
                m.d.comb += steps.i.valid.eq(1)
                with m.If(steps.i.ready):
                    m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(steps.done):
                    m.next = "NEXT"
            with m.State("NEXT"):
                m.next = "BEGIN"
                with m.If(number != end):
                    m.d.sync += number.eq(number + 1)
                with m.Else():
                    m.d.sync += [number.eq(begin), group.eq(group + cfg.lanes), groups_left.eq(groups_left - 1)]
                    with m.If(groups_left == 1):
                        m.next = "IDLE"
        return m

    def _numbers(self, m: Module):
        """The constants of the programs, from the job."""
        job, width, numbers = self.job, self.cfg.width, self.steps.numbers
        half = job.words >> 1
        given = {name: job[to] for name, to in number_fields(self.cfg.update_program, UPDATE_NUMBERS).items()}
        given |= {name: job[to][:width] for name, to in NUMBERS.items()}
        given |= {"spread": job.words, "half": half, "rest": job.words - half}
        given |= {"zero": Const(0, width)}
        m.d.comb += [numbers[name].eq(given[name]) for name, _ in numbers.shape()]
        m.d.comb += [self.steps.keys[name].eq(sort_key(given[name][:width])) for name, _ in self.steps.keys.shape()]
