"""From rows to operations: one operation per beat of ``cols`` elements that has a spike, then the tile's drain."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.drains import DirtyDrain, SweepDrain, TimeDrain, block_position
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.touched import TouchedBits, TouchedMemory
from trident.hw.isa.planes import PLANES_JOB
from trident.hw.lib.onehot import bit_number, lowest_bit

APART = 4  # bits of what a job says of groups that share words


class BeatLoop(wiring.Component):
    """Issue the additions of a row, skipping empty beats, and drain the accumulators after a tile's last row.

    One operation per cycle, 1 cycle latency. It knows which entries hold a sum, so that an accumulator's first addition
    starts afresh without a clearing pass. weight_grad's rows of zeros are dropped, and its sums leave with their last
    addition where that is known.

    Members
    -------
    i : stream of rows; row : In, the row's data
    o : stream of operations
    groups, group_entries : In, from the job
    line : In, from the job, see :class:`TimeDrain`
    planes : In, from the job, see :mod:`hw.isa.planes`: a forward row's planes go to the entry of the first timestep;
        of several walks each vector has its place and sign
    apart : In, where groups of a convolution share words, 1 + log2 of the channels of one; 0: they do not
    idle : Out(1), nothing is held; ready : Out(1), what a reset clears is cleared
    """

    def __init__(self, payloads: Payloads, drain: TimeDrain | DirtyDrain | SweepDrain):
        self.payloads, self.drain = payloads, drain
        cfg = payloads.cfg
        super().__init__({
            "i": In(stream.Signature(payloads.row)),
            "row": In(cfg.row_bits),
            "o": Out(stream.Signature(payloads.op)),
            "groups": In(cfg.address_bits),
            "group_entries": In(cfg.entry_bits + 1),
            "planes": In(PLANES_JOB),
            "line": In(cfg.address_bits),
            **({"apart": In(APART)} if payloads.apart else {}),
            "idle": Out(1),
            "ready": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        payloads, cfg, cols = self.payloads, self.payloads.cfg, self.payloads.cols
        by_time = payloads.engine == "weight_grad"
        chunks = payloads.elements // cols
        m.submodules.drain = drain = self.drain

        # The beat that is issued now
        vector = self.i.payload.vector
        issued = Signal(payloads.beats)
        pending = Signal(payloads.beats)
        lowest = Signal(payloads.beats)
        beat = Signal(range(max(payloads.beats, 2)))
        mask = Signal(cols)
        later = Signal(cols)
        op = Signal(payloads.op)
        entry = Signal(cfg.entry_bits)
        wanted = vector.bits
        if cols > 1:
            wanted = Cat(vector.bits[n * cols : (n + 1) * cols].any() for n in range(payloads.beats))
        # The beat's word, and its number within the word
        words = [lowest[n * chunks : (n + 1) * chunks] for n in range(payloads.words)]
        word = bit_number(Cat(part.any() for part in words))
        merged = reduce(or_, words)
        m.d.comb += [
            pending.eq(wanted & ~issued),
            lowest.eq(lowest_bit(pending)),
            beat.eq(bit_number(lowest)),
            op.beat.eq(bit_number(merged)),
            mask.eq(vector.bits.word_select(beat, cols)),
        ]
        if by_time:
            m.d.comb += later.eq(vector.later.word_select(beat, cols))
        if payloads.engine == "backward":
            m.d.comb += op.source.eq(vector.addresses[word])
        nothing = Signal()
        m.d.comb += [entry.eq(self.i.payload.entry + beat), nothing.eq(vector.null)]
        if payloads.planes:
            planes, number = self.planes, vector.number if by_time else op.beat
            place, negative = planes.place, planes.signed
            if payloads.walks > 1:
                place, negative = vector.meta.shift, vector.meta.negative
            value = Signal()  # not a bias
            m.d.comb += value.eq(~vector.ones.bit_select(word, 1))
            if not by_time:
                with m.If(planes.on):
                    m.d.comb += entry.eq(self.i.payload.entry + beat - op.beat)
        if by_time:
            magnitude = [self.row[n : n + cfg.width - 1].any() for n in range(0, cfg.row_bits, cfg.width)]
            with m.If(~sum(magnitude[1:], magnitude[0]).any()):
                m.d.comb += nothing.eq(1)

        if payloads.apart:
            together = ~self.apart.any() | vector.ones.bit_select(word, 1)
            for col in range(cols):
                read = Signal(range(cfg.lanes), name=f"read{col}")  # lane of the input
                m.d.comb += read.eq(op.beat * cols + col)
                for lane in range(cfg.lanes):
                    m.d.comb += op.joins[col][lane].eq(together | ((read ^ lane) << 1 >> self.apart == 0))

        by_bits = isinstance(drain, DirtyDrain)
        m.submodules.touched = touched = (TouchedBits if by_bits else TouchedMemory)(cfg.accumulators)
        m.d.comb += self.ready.eq(touched.ready)
        if by_bits:
            m.d.comb += drain.touched.eq(touched.bits)
        sweeping = isinstance(drain, SweepDrain)
        if sweeping:
            m.d.comb += drain.ending.eq(touched.held & touched.one)
        meta = Signal(payloads.meta)
        draining = Signal()
        advance = Signal()
        valid = Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            drain.meta.eq(meta),
            drain.groups.eq(self.groups),
            drain.group_entries.eq(self.group_entries),
            drain.planes.eq(self.planes.on),
            drain.line.eq(self.line),
            touched.entry.eq(op.entry),
            touched.value.eq(~op.drain),
            op.first.eq(~touched.held),
            self.idle.eq(~self.o.valid & ~draining),
            op.row.eq(self.row),
            op.number.eq(vector.number),
        ]
        with m.If(draining):
            m.d.comb += [
                valid.eq(touched.held if sweeping else 1),
                drain.step.eq(advance),
                op.drain.eq(1),
                op.entry.eq(drain.tag.entry),
                op.tag.eq(drain.tag),
                touched.en.eq(advance & valid & drain.clear),
            ]
            with m.If(advance & drain.last):
                m.d.sync += draining.eq(0)
        with m.Elif(self.i.valid & touched.ready):
            last_beat = nothing | (pending == lowest)
            m.d.comb += [
                valid.eq(~nothing),
                self.i.ready.eq(advance & last_beat),
                op.mask.eq(mask),
                op.entry.eq(entry),
                *([
                    op.shift.eq(Mux(value, place + Mux(planes.on, number, 0), 0)),
                    op.negative.eq(value & negative & (~planes.on | (number == planes.last))),
                ] if payloads.planes else [op.shift.eq(vector.meta.shift)] if payloads.scales else []),
                touched.en.eq(advance & valid),
            ]
            if by_time:
                address, lane = block_position(payloads, vector.meta, entry, self.groups)
                m.d.comb += [
                    op.drain.eq(vector.meta.final & ~later.any()),
                    op.tag.address.eq(address),
                    op.tag.step.eq(lane),
                ]
            with m.If(advance):
                with m.If(~nothing):
                    m.d.sync += issued.eq(issued | lowest)
                with m.If(last_beat):
                    m.d.sync += issued.eq(0)
                    with m.If(self.i.payload.last):
                        m.d.sync += meta.eq(vector.meta)
                        m.d.sync += draining.eq(touched.some if by_time else 1)

        with m.If(advance):
            m.d.sync += [self.o.valid.eq(valid), self.o.payload.eq(op)]
        return m
