"""The backward engine: ``e[t] = W^T * d[t]``, errors multiply the columns of weights."""

from amaranth.hdl import Array, Module, Mux
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.drains import TimeDrain
from trident.hw.engines.skeleton.engine import Engine
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import drained_item, queue_drain
from trident.hw.engines.skeleton.walker import TapWalker
from trident.hw.isa.config import CoreConfig
from trident.hw.lib.fetch import Fetch
from trident.hw.lib.streams import connect


class BackwardEngine(Engine):
    """Row: weights of ``lanes`` inputs for one output (read transposed). Column vector: that output's errors over
    positions and time, found by their mask.

    Accumulators hold e of ``words`` input positions; they drain to the neuron-gradient unit through ``o``, last
    timestep first. With ``take``, what the cores before have summed comes as ``partials``, a row for each that drains.
    With ``raw``, sums leave as they are, in parts.

    Members beside those of :class:`Engine`
    ---------------------------------------
    o : stream of rows of e; the tag's address is relative to the layer's first word
    take, raw : In(1); partials : stream of rows, or of rows of parts
    error_word, error_beat, error_en, error_data : read port for errors, ``cols`` timesteps of ``lanes`` each, of which
        those of one lane are wanted, which has its bit in the enable
    """

    has_operand = True

    def __init__(self, cfg: CoreConfig):
        payloads = Payloads(cfg, "backward")
        super().__init__(
            payloads,
            TapWalker(payloads, transposed=True),
            TimeDrain(payloads, descending=True),
            multiply=True,
            ports={
                "o": Out(stream.Signature(drained_item(payloads))),
                "take": In(1),
                "raw": In(1),
                "partials": In(stream.Signature(cfg.sum_row_bits)),
                "error_word": Out(cfg.address_bits),
                "error_beat": Out(payloads.op["beat"].shape),
                "error_en": Out(cfg.lanes),
                "error_data": In(payloads.error_rows),
            },
        )

    def connect_operand(self, m: Module, fetch: Fetch):
        width = self.payloads.cfg.width
        op = fetch.i.payload
        m.d.comb += [
            self.error_word.eq(op.source),
            self.error_beat.eq(op.beat),
            self.error_en.eq(Mux(fetch.en & ~op.drain, 1 << op.number, 0)),
        ]
        for col in range(self.payloads.cols):
            row = self.error_data[col]
            lanes = Array(row[low : low + width] for low in range(0, len(row), width))
            m.d.comb += self.array.operand[col].eq(lanes[fetch.o.payload.number])

    def connect_drain(self, m: Module):
        m.d.comb += [self.array.take.eq(self.take), self.array.raw.eq(self.raw)]
        connect(m, self.partials, self.array.partials)
        return queue_drain(self, m)
