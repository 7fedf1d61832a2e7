"""One engine for forward, backward and weight_grad, which take turns: what a core has that must be small."""

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

    For one lane, with results equal to those of the three engines bit for bit. Sums stay in the accumulators, which are
    zero between tiles: a drain leaves zeros behind. Those of weight_grad, one per group, are added to gradients behind
    each pass over the positions that had a spike. One addition per cycle.

    Members
    -------
    job : In, see :func:`shared_job`; start : In(3), a pulse on the bit of one of OPERATIONS; busy : Out(1)
    take : In(1), backward and ``reduce`` add to ``partials``, a stream of rows
    reducing : In(1), instead of an operation, ``reduce``: a stream of addresses of gradients, which leave
    o : stream of what leaves, with its tag; two : Out(1), two rows are there; nonfinite : Out(1), a number was too
        large for its sum, or a rounded sum is
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
            "reduce": In(stream.Signature(address)),
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

        # The word at hand: for every timestep with a bit, for every group, an addition; then perhaps the drain. A reset
        # drains all accumulators, so that they are zero.
        held, clearing, draining = Signal(init=1), Signal(init=1), Signal(init=1)
        current = Signal(shared_request(cfg), init={"groups": -(-cfg.accumulators // steps)})
        source = Signal(cfg.address_bits)
        pending = Signal(steps)
        group, time, tile = Signal(8), Signal(range(steps)), Signal(cfg.address_bits)
        lowest = lowest_bit(pending)
        rest = pending & ~lowest
        step = Signal(range(steps))
        last_group = group + 1 == current.groups
        go, fire, added = Signal(), Signal(), Signal()
        word_end, drains, finish = Signal(), Signal(), Signal()
        m.d.comb += [
            step.eq(Mux(draining, Mux(backward, ~time, time), bit_number(lowest))),
            fire.eq(held & (draining | pending.any()) & go),
            word_end.eq(held & ~draining & ((fire & ~rest.any() & last_group) | ~pending.any())),
            # Where no word had a bit, gradients stay as they are
            drains.eq(current.end & (~by_block | added | fire)),
            finish.eq(Mux(draining, fire & last_group & ((time == steps - 1) | by_block), word_end & ~drains)),
            read.o.ready.eq(~held | finish),
        ]
        with m.If(fire):
            m.d.sync += [group.eq(group + 1), tile.eq(tile + job.group_step), added.eq(1)]
            with m.If(last_group):
                m.d.sync += [group.eq(0), tile.eq(current.tile), time.eq(time + draining), pending.eq(rest)]
        with m.If(word_end & drains):
            m.d.sync += draining.eq(1)
        with m.If(finish):
            m.d.sync += [held.eq(0), draining.eq(0), clearing.eq(0), time.eq(0)]
            with m.If(current.end):
                m.d.sync += added.eq(0)
        with m.If(read.o.valid & read.o.ready):
            m.d.sync += [
                held.eq(1), current.eq(found), source.eq(read.o.payload.address), tile.eq(found.tile),
                pending.eq(word), group.eq(0),
            ]  # fmt: skip

        # The operation that this makes, or reduce, which adds a row to one of the accumulators, as all are zero, and
        # then the gradient
        array = self.array
        m.submodules.array = array
        m.submodules.queue = queue = DrainQueue(self.payloads, array.latency)
        op, reduced = Signal(shared_op(cfg)), Signal()  # the row has been added
        reduces = reducing & (reduced | ~self.take)
        taking = self.take & (draining | reducing & ~reduced)
        issue = Signal()
        m.d.comb += [
            op.entry.eq(Mux(by_block, group, Cat(step, group))),
            op.error.eq(by_block),
            op.product.eq(backward & ~draining & ~reducing),
            op.given.eq(Mux(reducing, ~reduces, draining & ~by_block)),
            op.gradient.eq(Mux(reducing, reduces, draining & by_block)),
            op.drain.eq(draining | reduces),
            op.leave.eq(Mux(reducing, reduces, draining & ~by_block & ~clearing)),
            op.tag.address.eq(Mux(reducing, self.reduce.payload, current.dst + group)),
            op.tag.item.eq(group),
            op.tag.step.eq(step),
            go.eq(~array.taken & (~op.leave | queue.ready) & (~taking | self.partials.valid)),
            issue.eq(fire | reducing & self.reduce.valid & go),
            self.reduce.ready.eq(reduces & go),
            self.partials.ready.eq(issue & taking),
        ]
        with m.If(reducing & self.reduce.valid & go):
            m.d.sync += reduced.eq(~reduces)

        m.d.comb += [
            self.weight_address.eq(tile),
            self.weight_en.eq(fire),
            self.error_address.eq(Cat(step, Mux(by_block, tile, source))),
            self.error_en.eq(fire),
            self.read_tile.eq(op.tag.address),
            self.read_en.eq(issue & op.gradient),
            array.exponent.eq(job.exponent),
            array.valid.eq(issue),
            array.op.eq(op),
            array.given.eq(Mux(taking, self.partials.payload, 0)),
            array.weights.eq(self.weights),
            array.errors.eq(self.errors),
            array.gradients.eq(self.read_data),
            self.write_tile.eq(array.tag.address),
            self.write_en.eq(array.writes),
            self.write_data.eq(array.sum),
            queue.issued.eq(issue & op.leave),
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
