"""The norm unit: batch norm of a layer's sums, and of its errors, as passes of vector programs."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.align import Align
from trident.hw.arith.mac import mac_request
from trident.hw.isa.batch_norm import (
    NUMBERS,
    POWER,
    backward_passes,
    forward_passes,
    frozen_passes,
    norm_passes,
)
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.passes import channel_numbers
from trident.hw.lib.fetch import Fetch
from trident.hw.lib.streams import connect
from trident.hw.units.parts.history import History
from trident.hw.units.parts.lane_sums import LaneSums
from trident.hw.units.parts.norm_walk import NormWalk, norm_row
from trident.hw.units.parts.steps import VectorSteps, connect_steps
from trident.hw.units.parts.sum_ring import SumRing
from trident.hw.units.update import rows_under_way

WAYS = (forward_passes, frozen_passes, backward_passes)
"""What a job does, by the number that its fields ``outgoing`` and ``channel`` make: normalise with the minibatch's mean
and variance, with the running ones, or make errors."""
_READ = (("gain", "running_variance"), ("offset", "running_mean"), (None, "inverse"))
"""What is read of every group of channels, row after row: of the weights and beside them."""


class NormUnit(wiring.Component):
    """Runs the passes of :mod:`trident.hw.isa.batch_norm` for one group of ``lanes`` channels after another, over
    ``blocks`` samples of ``count`` pixels.

    A pass takes a cycle per row and step of its program, and then the latency of the last row. If its rows are summed,
    the sums are rounded (``lanes + round_stages`` cycles) and one row runs the program behind it. Sums of copies of the
    network on other cores are added before that, see :class:`SumRing`.

    Members
    -------
    job : In. ``outgoing``, ``channel``: see :data:`WAYS`; ``take``: the running variance and mean, as they were or new,
        and the inverse deviations are written; ``src``, ``dst``, ``aux``: the first words of sums, of scaled
        sums or of the errors that are made, and of errors, ``tap_step``, ``pass_step``, ``block_step``: from one sample
        to the next; ``tile``: of the gains, which the offsets and the inverse deviations follow; ``groups``; ``token``:
        the power of two that sums are divided by; ``exponent``: the exponent code from which on a number is too large
        for a sum; ``final``: the rows are those of the first timesteps; numbers, see
        :data:`trident.hw.isa.batch_norm.NUMBERS`; ``pass_groups``: other copies; ``carry``: gradients are written by
        one of those, here they are 0
    start : In(1), a pulse; busy : Out(1); backward : Out(1), it makes errors
    request, result... : a client of the shared multiply-adder
    table_address, table_en, tables : per lane, a read port of the function table
    large : Out(1), a number, a sum or a gradient is too large
    row_address, row_read, weights, raw : read port for weights and what is beside them; raw_write, raw_data : what is
        written beside them, at ``row_address``
    sum_address, sum_en, sums : read port for sums (row = word, timestep); sum_write_address, sum_write, sum_data
    error_word, error_step, error_en, errors : read port for errors; error_address, error_write, error_data :
        write port (row = word, timestep); mask_address, mask_en, mask : for error masks
    gradient_address, gradient_write, gradients : write port for gradients
    o, i : streams of rows of sums, to the next core and from the one before
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.passes, self.under_way = norm_passes(), rows_under_way(cfg)
        tag = data.StructLayout({**norm_row(cfg).members, "slot": range(self.under_way)})
        self.steps = steps = VectorSteps(cfg, cfg.norm_programs, tag, self.under_way, lambda tag: tag.slot)
        rows = max((cfg.weight_rows - 1).bit_length(), 1)
        row, between = cfg.address_bits + cfg.step_bits, stream.Signature(cfg.row_bits)
        super().__init__({
            "o": Out(between), "i": In(between),
            "job": In(JOB.shape()), "start": In(1), "busy": Out(1), "backward": Out(1),
            "request": Out(stream.Signature(mac_request(cfg, steps.going.size))),
            "result": In(cfg.row_bits), "result_tag": In(steps.going.size), "result_valid": In(1),
            "table_address": Out(steps.table_address[0].shape()).array(cfg.lanes),
            "table_en": Out(1),
            "tables": In(steps.tables[0].shape()).array(cfg.lanes),
            "large": Out(1),
            "row_address": Out(rows), "row_read": Out(1), "weights": In(cfg.row_bits), "raw": In(cfg.row_bits),
            "raw_write": Out(1), "raw_data": Out(cfg.row_bits),
            "sum_address": Out(row), "sum_en": Out(1), "sums": In(cfg.row_bits),
            "sum_write_address": Out(row), "sum_write": Out(1), "sum_data": Out(cfg.row_bits),
            "error_word": Out(cfg.address_bits), "error_step": Out(cfg.vector_bits), "error_en": Out(1),
            "errors": In(cfg.row_bits),
            "error_address": Out(row), "error_write": Out(1), "error_data": Out(cfg.row_bits),
            "mask_address": Out(cfg.address_bits), "mask_en": Out(1), "mask": Out(cfg.spike_bits),
            "gradient_address": Out(rows), "gradient_write": Out(1), "gradients": Out(cfg.gradient_row_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, steps = self.cfg, self.job, self.steps
        m.submodules.steps = steps
        m.submodules.walk = walk = NormWalk(cfg)
        m.submodules.sums = sums = LaneSums(cfg, power_bits=len(job.token), merges=True)
        m.submodules.ring = ring = SumRing(cfg)
        connect(m, ring.o, self.o)
        connect(m, self.i, ring.i)
        connect_steps(m, self, steps)
        given = {name: job[field][: cfg.width] for name, field in NUMBERS.items()} | {POWER: job.token}
        m.d.comb += [steps.numbers[name].eq(given[name]) for name, _ in steps.numbers.shape()]
        way = Signal(range(len(WAYS)))
        number = Signal(range(len(self.passes)))  # of the pass
        group = Signal(cfg.address_bits)
        m.d.comb += [way.eq(Mux(job.outgoing, 2, job.channel)), self.backward.eq(way == 2)]

        def of_pass(values):
            return Array(map(int, values))[number]

        # The rows of a group
        m.submodules.fetch = fetch = Fetch(norm_row(cfg))
        connect(m, walk.o, fetch.i)
        first = {"sums": job.src, "scaled": job.dst, "errors": job.aux}
        sample = {"sums": job.tap_step, "scaled": job.pass_step, "errors": job.block_step}
        m.d.comb += [
            *(walk.first[name].eq(base + group) for name, base in first.items()),
            *(walk.sample[name].eq(step) for name, step in sample.items()),
            walk.pixel.eq(job.groups),
            walk.pixels.eq(job.count),
            walk.samples.eq(job.blocks),
            walk.single.eq(job.final),
            self.sum_address.eq(self._row(walk.o.payload.step, walk.o.payload.sums)),
            self.sum_en.eq(fetch.en),
            self.error_word.eq(walk.o.payload.errors),
            self.error_step.eq(walk.o.payload.step),
            self.error_en.eq(fetch.en & self.backward),
        ]

        # Their programs
        slot, under_way = Signal(range(self.under_way)), Signal(range(self.under_way + 1))
        enters = steps.i.valid & steps.i.ready
        m.d.sync += [slot.eq(slot + enters), under_way.eq(under_way + enters - steps.done)]
        read = {name for rows in _READ for name in rows if name}
        names = dict.fromkeys((*sorted(read), *channel_numbers(self.passes)))
        channels = {name: Signal(cfg.row_bits, name=name) for name in names}
        for name in channel_numbers(self.passes):
            with m.If(steps.there[name]):
                m.d.sync += channels[name].eq(steps.outputs[name])
        found = channels | {"x": self.sums, "z": self.sums, "g": self.errors, "total": sums.total}
        which = Signal(steps.which.shape())
        free = under_way != self.under_way
        tag = steps.i.payload.tag
        m.d.comb += [
            *(steps.i.payload.inputs[name].eq(found[name]) for name, _ in steps.inputs),
            *(tag[name].eq(fetch.o.payload[name]) for name, _ in norm_row(cfg)),
            tag.slot.eq(slot),
            steps.which.eq(which),
            steps.i.valid.eq(fetch.o.valid & free),
            fetch.o.ready.eq(steps.i.ready & free),
        ]
        self._write_rows(m)

        # Sums
        m.d.comb += [
            sums.row.eq(steps.outputs.term),
            sums.en.eq(steps.there.term),
            sums.limit.eq(job.exponent),
            sums.power.eq(job.token),
            sums.given.eq(ring.given),
            sums.add.eq(ring.add),
            ring.sums.eq(sums.sums),
            ring.rounds.eq(job.pass_groups),
        ]

        # Rows of parameters: what is read first, and what is written at last
        part, got = Signal(range(len(_READ) + 1)), Signal(range(len(_READ) + 1))
        places = Array((job.tile + n * job.groups + group)[: cfg.address_bits] for n in range(len(_READ)))
        writing = Signal()
        written = Array(channels[beside] for _, beside in _READ)
        with_gradient = self.backward & writing & (part < 2)
        gradient = Array((channels["gain_gradient"], channels["offset_gradient"]))[part[:1]]
        self._gradients(m, gradient, with_gradient, sums.large)
        m.d.comb += [
            self.row_address.eq(places[part] << cfg.lane_bits),
            self.gradient_address.eq(self.row_address),
            self.raw_data.eq(written[part]),
            self.raw_write.eq(writing & job.take),
        ]

        # Pass by pass, group by group
        indices = [[self.passes.index(step) for step in passes()] for passes in WAYS]
        following = Array(
            Array(own[own.index(n) + 1] if n in own[:-1] else 0 for n in range(len(self.passes))) for own in indices
        )
        begin, end = (Array(own[n] for own in indices)[way] for n in (0, -1))
        programs = self.steps.programs
        rows_of = of_pass([programs.index(step.rows) if step.rows else 0 for step in self.passes])
        then_of = of_pass([programs.index(step.then) if step.then else 0 for step in self.passes])
        summed = of_pass([step.then is not None for step in self.passes])
        has_rows = of_pass([step.rows is not None for step in self.passes])
        with m.FSM() as states:
            m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [group.eq(0), part.eq(0), got.eq(0)]
                with m.If(self.start):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.row_read.eq(part != len(_READ))
                m.d.sync += got.eq(part + self.row_read)
                with m.If(self.row_read):
                    m.d.sync += part.eq(part + 1)
                for n, row in enumerate(_READ):
                    with m.If((got == n + 1) & (part == n + 1)):
                        for name, value in zip(row, (self.weights, self.raw), strict=True):
                            if name:
                                m.d.sync += channels[name].eq(value)
                with m.If(got == len(_READ)):
                    m.d.sync += [number.eq(begin), part.eq(0), got.eq(0)]
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.comb += sums.clear.eq(1)
                m.next = "CHANNELS"
                m.d.sync += which.eq(then_of)
                with m.If(has_rows):
                    m.d.comb += walk.start.eq(1)
                    m.d.sync += which.eq(rows_of)
                    m.next = "ROWS"
            with m.State("ROWS"):
                with m.If(~(walk.o.valid | fetch.o.valid | under_way.any())):
                    m.next = "NEXT"
                    with m.If(summed & job.pass_groups.any()):
                        m.d.comb += ring.start.eq(1)
                        m.next = "MERGE"
                    with m.Elif(summed):
                        m.d.comb += sums.round.eq(1)
                        m.next = "ROUND"
            with m.State("MERGE"):
                with m.If(~ring.busy):
                    m.d.comb += sums.round.eq(1)
                    m.next = "ROUND"
            with m.State("ROUND"):
                m.d.sync += which.eq(then_of)
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
                m.d.sync += number.eq(following[way][number])
                with m.If(number == end):
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += writing.eq(1)
                m.d.sync += part.eq(part + 1)
                with m.If(part == len(_READ) - 1):
                    m.d.sync += [group.eq(group + 1), part.eq(0)]
                    m.next = "READ"
                    with m.If(group + 1 == job.groups):
                        m.next = "IDLE"
        return m

    def _row(self, step, word):
        return Cat(step[: self.cfg.step_bits], word[: self.cfg.address_bits])

    def _write_rows(self, m: Module):
        """Normalised and scaled sums, and errors with their masks; rows come back in their order."""
        cfg, width = self.cfg, self.cfg.width
        tag, there, outputs = self.steps.tag, self.steps.there, self.steps.outputs
        m.submodules.history = history = History(cfg, 1)
        m.d.comb += [
            self.sum_write_address.eq(self._row(tag.step, Mux(there.z, tag.sums, tag.scaled))),
            self.sum_write.eq(there.z | there.y),
            self.sum_data.eq(Mux(there.z, outputs.z, outputs.y)),
            self.error_address.eq(self._row(tag.step, tag.scaled)),
            self.error_write.eq(there.g),
            self.error_data.eq(outputs.g),
            history.step.eq(tag.step),
            history.first.eq(tag.step == 0),
            history.bits.eq(Cat(outputs.g[n : n + width - 1].any() for n in range(0, cfg.row_bits, width))),
            history.en.eq(there.g),
            self.mask_address.eq(tag.scaled),
            self.mask_en.eq(there.g & (self.job.final | (tag.step == cfg.timesteps - 1))),
            self.mask.eq(history.word),
        ]

    def _gradients(self, m: Module, row, writing, large):
        """A row of gradients: floats, or the exact sums that they are."""
        cfg, width = self.cfg, self.cfg.width
        limit = cfg.fixed_of("weight_grad").limit(cfg.format, 1, room=1)
        lanes, wrong = [], []
        for lane in range(cfg.lanes):
            value = row[lane * width : (lane + 1) * width]
            too_large = value[cfg.frac : -1] >= limit
            wrong.append(too_large)
            empty = too_large | self.job.carry
            if not cfg.exact:
                lanes.append(Mux(empty, 0, value))
                continue
            m.submodules[f"align{lane}"] = align = Align(cfg.format, cfg.fixed_of("weight_grad"))
            exact = Signal(signed(cfg.gradient_bits), name=f"exact{lane}")
            m.d.comb += [
                align.i.eq(value), align.add.eq(~empty),
                exact.eq(Mux(align.sign, -align.magnitude, align.magnitude)),
            ]  # fmt: skip
            lanes.append(exact)
        m.d.comb += [
            self.gradient_write.eq(writing),
            self.gradients.eq(Cat(lanes)),
            self.large.eq(large | writing & Cat(wrong).any()),
        ]
