"""One engine for forward, backward and weight_grad, which take turns: what a core has that must be small."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.compact.array import SharedArray, shared_op
from trident.hw.compact.walker import SharedWalker, shared_job, shared_request
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import DrainQueue, neuron_item
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.operations import JOBS, Opcode
from trident.hw.lib.fetch import Fetch
from trident.hw.lib.onehot import bit_number, lowest_bit
from trident.hw.lib.streams import connect

OPERATIONS = tuple(row.opcode for row in JOBS if row.place)


class SharedEngine(wiring.Component):
    """A walker and an array that do one of the three operations at a time, a job to its end; and the multiply-adder.

    For one lane, with results equal to those of the three engines bit for bit. Sums of forward and backward stay in the
    accumulators, which are +0 between tiles: a drain leaves +0 behind. Gradients are read, added to and written back
    one by one. One addition per cycle; the next to the same sum may start ``add_stages + 2`` cycles later.

    Members
    -------
    job : In, see :func:`shared_job`; start : In(3), a pulse on the bit of one of OPERATIONS; busy : Out(1)
    take : In(1), backward adds to ``partials``, a stream of rows
    reducing : In(1), instead of an operation, ``reduce``: rows that are added to gradients
    o : stream of what leaves, with its tag; two : Out(1), two rows are there; nonfinite : Out(1), a sum is infinite or
        not a number
    word_address, word_en, word_data : read port for words, of spikes or, behind ``spike_words``, of error masks;
        word_ready : In(1), it is free. Data are taken a cycle later.
    weight_address, weight_en, weights; error_address, error_en, errors : read ports
    read_..., write_... : for gradients
    """

    def __init__(self, cfg: CoreConfig, tag_bits: list[int]):
        """``tag_bits``: of each client of the multiply-adder."""
        self.cfg = cfg
        self.array = SharedArray(cfg, tag_bits)
        self.payloads = Payloads(cfg, "forward")
        address = cfg.address_bits
        super().__init__({
            "job": In(shared_job(cfg)),
            "start": In(len(OPERATIONS)),
            "busy": Out(1),
            "take": In(1),
            "partials": In(stream.Signature(cfg.row_bits)),
            "reducing": In(1),
            "reduce": In(stream.Signature(data.StructLayout({"address": address, "row": cfg.row_bits}))),
            "o": Out(stream.Signature(neuron_item(self.payloads))),
            "two": Out(1),
            "nonfinite": Out(1),
            "word_address": Out(word_bits(cfg)),
            "word_en": Out(1),
            "word_ready": In(1),
            "word_data": In(cfg.spike_bits),
            "weight_address": Out(address),
            "weight_en": Out(1),
            "weights": In(cfg.row_bits),
            "error_address": Out(address + cfg.step_bits),
            "error_en": Out(1),
            "errors": In(cfg.row_bits),
            "read_tile": Out(address),
            "read_en": Out(1),
            "read_data": In(cfg.row_bits),
            "write_tile": Out(address),
            "write_en": Out(1),
            "write_data": Out(cfg.row_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.cfg, self.job
        steps = cfg.timesteps
        backward, by_block, started = Signal(), Signal(), Signal()
        starting = self.start.any()
        m.d.sync += started.eq(starting)
        with m.If(starting):
            m.d.sync += [backward.eq(self.start[Opcode.BACKWARD]), by_block.eq(self.start[Opcode.WEIGHT_GRAD])]
        reducing = self.reducing

        # Words: asked for, placed, read
        m.submodules.walker = walker = SharedWalker(cfg)
        placed = data.StructLayout({"request": shared_request(cfg), "address": cfg.address_bits})
        m.submodules.place = place = Fetch(placed)
        m.submodules.read = read = Fetch(placed)
        request = walker.o.payload
        m.d.comb += [
            walker.job.eq(job),
            walker.transposed.eq(backward),
            walker.by_block.eq(by_block),
            walker.start.eq(started),
            place.i.valid.eq(walker.o.valid),
            walker.o.ready.eq(place.i.ready),
            place.i.payload.request.eq(request),
            place.i.payload.address.eq(request.pixel * job.blocks + request.start),
            self.word_address.eq(place.o.payload.address + Mux(backward, cfg.spike_words, 0)),
            self.word_en.eq(read.en),
            read.i.payload.eq(place.o.payload),
            read.i.valid.eq(place.o.valid & self.word_ready),
            place.o.ready.eq(read.i.ready & self.word_ready),
        ]
        read_back, kept = Signal(), Signal(steps)  # the port is another's in the next cycle
        m.d.sync += read_back.eq(read.en)
        with m.If(read_back):
            m.d.sync += kept.eq(self.word_data)
        found = read.o.payload.request
        ones = Const((1 << steps) - 1, steps)
        word = Mux(found.ones, ones, Mux(read_back, self.word_data, kept) & found.fetch.replicate(steps))

        # The word at hand: for every timestep with a bit, for every group, an addition, so that the next one to the
        # same gradient is far; then perhaps the drain. A reset drains all accumulators, so that they are zero.
        held, clearing, draining = Signal(init=1), Signal(init=1), Signal(init=1)
        current = Signal(shared_request(cfg), init={"groups": cfg.accumulators // steps})
        source = Signal(cfg.address_bits)
        pending = Signal(steps)
        group, time, tile = Signal(8), Signal(range(steps)), Signal(cfg.address_bits)
        lowest = lowest_bit(pending)
        rest = pending & ~lowest
        step = Signal(range(steps))
        last_group = group + 1 == current.groups
        want, go, fire = Signal(), Signal(), Signal()
        word_end, finish = Signal(), Signal()
        m.d.comb += [
            step.eq(Mux(draining, Mux(backward, ~time, time), bit_number(lowest))),
            want.eq(held & (draining | pending.any())),
            fire.eq(want & go),
            word_end.eq(held & ~draining & ((fire & ~rest.any() & last_group) | ~pending.any())),
            finish.eq(Mux(draining, fire & last_group & (time == steps - 1), word_end & ~current.end)),
            read.o.ready.eq(~held | finish),
        ]
        with m.If(fire):
            m.d.sync += [group.eq(group + 1), tile.eq(tile + job.group_step)]
            with m.If(last_group):
                m.d.sync += [group.eq(0), tile.eq(current.tile), time.eq(time + draining), pending.eq(rest)]
        with m.If(word_end & current.end):
            m.d.sync += draining.eq(1)
        with m.If(finish):
            m.d.sync += [held.eq(0), draining.eq(0), clearing.eq(0), time.eq(0)]
        with m.If(read.o.valid & read.o.ready):
            m.d.sync += [
                held.eq(1), current.eq(found), source.eq(read.o.payload.address), tile.eq(found.tile),
                pending.eq(word), group.eq(0),
            ]  # fmt: skip

        # The operation that this makes, or that the reduce unit asks for
        op, row = Signal(shared_op(cfg)), Signal(cfg.row_bits)
        taking = draining & self.take & ~clearing
        reductions = self.reduce
        m.d.comb += [
            op.entry.eq(Mux(by_block, group, Cat(step, group))),
            op.gradient.eq(by_block & ~draining),
            op.product.eq(backward & ~draining),
            op.given.eq(draining),
            op.drain.eq(draining),
            op.leave.eq(draining & ~clearing),
            op.tag.address.eq(current.dst + group),
            op.tag.item.eq(group),
            op.tag.step.eq(step),
            row.eq(Mux(taking, self.partials.payload, cfg.format.negative_zero)),
        ]
        with m.If(reducing & ~clearing):
            m.d.comb += [
                op.entry.eq(reductions.payload.address),
                op.gradient.eq(1),
                op.product.eq(0),
                op.given.eq(1),
                op.leave.eq(1),
                op.tag.address.eq(reductions.payload.address),
                row.eq(reductions.payload.row),
            ]
        array = self.array
        m.submodules.array = array
        recent = [Signal(data.StructLayout({"valid": 1, "entry": cfg.entry_bits}), name=f"recent{n}")
                  for n in range(cfg.add_stages + 1)]  # fmt: skip
        hazard = Cat(r.valid & (r.entry == op.entry) for r in recent).any()
        m.submodules.queue = queue = DrainQueue(self.payloads, array.latency)
        issue = fire | (reductions.valid & reductions.ready)
        m.d.comb += [
            go.eq(~hazard & ~array.taken & (~draining | queue.ready & (self.partials.valid | ~taking))),
            self.partials.ready.eq(fire & taking),
            reductions.ready.eq(reducing & ~clearing & ~hazard & ~array.taken & queue.ready),
            self.weight_address.eq(tile),
            self.weight_en.eq(fire),
            self.error_address.eq(Cat(step, Mux(by_block, tile, source))),
            self.error_en.eq(fire),
            queue.issued.eq(issue & op.leave),
        ]
        m.d.sync += [recent[0].valid.eq(issue), recent[0].entry.eq(op.entry)]
        m.d.sync += [after.eq(before) for before, after in pairwise(recent)]

        m.d.comb += [
            array.valid.eq(issue),
            array.op.eq(op),
            array.given.eq(row),
            array.weights.eq(self.weights),
            array.errors.eq(self.errors),
            self.read_tile.eq(array.read_tile),
            self.read_en.eq(array.read_en),
            array.read_data.eq(self.read_data),
            self.write_tile.eq(array.write_tile),
            self.write_en.eq(array.write_en),
            self.write_data.eq(array.write_data),
            queue.drained.values.eq(array.sum),
            *(queue.drained.tag[name].eq(array.tag[name]) for name, _ in self.payloads.place),
            queue.drained_valid.eq(array.leaves),
        ]

        under_way = Cat(self.start, started, walker.busy, walker.o.valid, place.o.valid, read.o.valid, held)
        m.d.comb += [
            self.busy.eq(Cat(under_way, array.flying, queue.busy).any()),
            self.two.eq(queue.two),
            self.nonfinite.eq(array.fault),
        ]
        connect(m, queue.o, self.o)
        return m


def word_bits(cfg: CoreConfig) -> int:
    """Address bits of the memory that holds spikes and, behind them, error masks."""
    return (cfg.spike_words + cfg.error_words - 1).bit_length()
