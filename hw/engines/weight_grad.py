"""The weight-gradient engine: ``dW += sum_t d[t] (x) s[t]``, spikes select the accumulators that take an error row."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.drains import DirtyDrain, SweepDrain
from trident.hw.engines.skeleton.engine import Engine
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import DrainQueue, drained_item
from trident.hw.engines.skeleton.walker import BlockWalker
from trident.hw.isa.config import CoreConfig
from trident.hw.lib.fetch import Fetch
from trident.hw.lib.streams import connect


class WeightGradEngine(Engine):
    """Row: errors of ``lanes`` outputs at one position and timestep. Column vector: spikes of the inputs at that time.

    Accumulators hold the gradients of ``words`` input blocks and ``pass_groups`` groups; each starts from the gradient
    memory at its first spike and returns there after its last: rounded once, or an exact sum.

    Between jobs, the reduce unit may use the array: its operations come through ``reduce`` while ``reducing``, and what
    they drain leaves through ``reduced`` as well. With ``take``, a row of ``partials`` is added to each.

    Members beside those of :class:`Engine`
    ---------------------------------------
    read_tile, read_beat, read_en, read_data : read port for gradients, ``cols`` rows of ``lanes``
    write_tile, write_beat, write_en, write_data : write port for gradients, an enable per row
    reducing, take : In(1); reduce : stream of operations; partials : stream of rows, or of rows of parts
    reduced : stream of rows of gradients; held : Out(1), some are still to leave
    """

    has_operand = True

    def __init__(self, cfg: CoreConfig):
        payloads = Payloads(cfg, "weight_grad")
        self.reduces = Signal()  # ``reducing``, a cycle later and close by
        values, beat = payloads.drained["values"].shape, payloads.op["beat"].shape
        super().__init__(
            payloads,
            BlockWalker(payloads),
            SweepDrain(payloads) if cfg.lanes * payloads.words == 1 else DirtyDrain(payloads),
            multiply=False,
            ports={
                "read_tile": Out(cfg.address_bits),
                "read_beat": Out(beat),
                "read_en": Out(1),
                "read_data": In(values),
                "write_tile": Out(cfg.address_bits),
                "write_beat": Out(beat),
                "write_en": Out(payloads.cols),
                "write_data": Out(values),
                "reducing": In(1),
                "take": In(1),
                "reduce": In(stream.Signature(payloads.op)),
                "partials": In(stream.Signature(cfg.sum_row_bits)),
                "reduced": Out(stream.Signature(drained_item(payloads))),
                "held": Out(1),
            },
        )

    def connect_operations(self, m: Module, source, sink):
        m.d.sync += self.reduces.eq(self.reducing)
        with m.If(self.reduces):
            m.d.comb += [
                sink.payload.eq(self.reduce.payload),
                sink.valid.eq(self.reduce.valid),
                self.reduce.ready.eq(sink.ready),
            ]
        with m.Else():
            m.d.comb += [sink.payload.eq(source.payload), sink.valid.eq(source.valid), source.ready.eq(sink.ready)]

    def between_jobs(self):
        return self.reducing | self.reduces | self.held

    def connect_operand(self, m: Module, fetch: Fetch):
        op = fetch.i.payload
        m.d.comb += [
            self.read_tile.eq(op.tag.address),
            self.read_beat.eq(op.beat),
            self.read_en.eq(fetch.en & op.first),
            self.array.initial.eq(self.read_data),
        ]

    def connect_drain(self, m: Module):
        array = self.array
        tag = array.drained.tag
        cols = self.payloads.cols
        cols_bits = (cols - 1).bit_length()
        m.submodules.queue = queue = DrainQueue(self.payloads, array.latency)
        connect(m, self.partials, array.partials)
        m.d.comb += [
            array.take.eq(self.reduces & self.take),
            queue.issued.eq(self.reduces & array.i.valid & array.i.ready),
            queue.drained.eq(array.drained),
            queue.drained_valid.eq(array.drained_valid & self.reduces),
            self.held.eq(array.i.valid | queue.busy),
            array.drain_ready.eq(queue.ready | ~self.reduces),
            self.write_tile.eq(tag.address),
            self.write_beat.eq(tag.step >> cols_bits),
            # A sum of replicas concerns one row; those beside it may be on their way
            self.write_en.eq(Mux(self.reduces, 1 << tag.col, (1 << cols) - 1) & array.drained_valid.replicate(cols)),
            self.write_data.eq(array.drained.values),
        ]
        connect(m, queue.o, self.reduced)
        return Const(0)
