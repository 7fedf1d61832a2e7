"""From matrices to column vectors: find those with a spike, skip the rest."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.lib.onehot import bit_number, lowest_bit


class Scan(wiring.Component):
    """Emit the matrix' column vectors that are not all zero, in ascending order, one per cycle.

    Forward and backward take a vector per lane (elements: word, timestep), weight_grad a vector per timestep (elements:
    word, lane). A matrix with nothing in it costs one cycle; if it ends a tile, a null vector carries the end on.
    Latency 1 cycle. With ``short_paths`` no vector is made in the cycle in which one is taken, so that ``i.ready`` does
    not depend on ``o.ready``.

    Members
    -------
    i : stream of matrices
    o : stream of vectors
    skipped : Out, how many vectors of the matrix that is left were all zero (for the counters)
    """

    def __init__(self, payloads: Payloads):
        self.payloads = payloads
        super().__init__({
            "i": In(stream.Signature(payloads.matrix)),
            "o": Out(stream.Signature(payloads.vector)),
            "skipped": Out(range(payloads.vectors + 1)),
        })  # fmt: skip

    def _vector(self, v: int):
        """Bits of vector v and, for weight_grad, which elements spike again later."""
        cfg, words = self.payloads.cfg, self.i.payload.words
        steps = cfg.timesteps
        if self.payloads.engine != "weight_grad":
            return Cat(words[w][v * steps : (v + 1) * steps] for w in range(len(words))), None
        bits = Cat(words[w][lane * steps + v] for w in range(len(words)) for lane in range(cfg.lanes))
        later = Cat(
            words[w][lane * steps + v + 1 : (lane + 1) * steps].any() if v + 1 < steps else 0
            for w in range(len(words))
            for lane in range(cfg.lanes)
        )
        return bits, later

    def elaborate(self, platform):
        m = Module()
        count = self.payloads.vectors
        vectors = [self._vector(v) for v in range(count)]
        emitted = Signal(count)
        present, pending = Signal(count), Signal(count)
        lowest = Signal(count)
        number = bit_number(lowest)
        m.d.comb += [
            present.eq(Cat(bits.any() for bits, _ in vectors)),
            pending.eq(present & ~emitted),
            lowest.eq(lowest_bit(pending)),
        ]
        empty = ~pending.any()
        last = pending == lowest  # holds for an empty matrix too
        meta = self.i.payload.meta
        advance = Signal()
        m.d.comb += [
            advance.eq(~self.o.valid if self.payloads.cfg.short_paths else ~self.o.valid | self.o.ready),
            self.i.ready.eq(advance & last),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.comb += self.skipped.eq(sum(~present[v] for v in range(count)))
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(advance):
            m.d.sync += self.o.valid.eq(self.i.valid & (~empty | meta.end))
            with m.If(self.i.valid):
                m.d.sync += [
                    self.o.payload.null.eq(empty),
                    self.o.payload.addresses.eq(self.i.payload.addresses),
                    self.o.payload.ones.eq(self.i.payload.ones),
                    self.o.payload.meta.eq(meta),
                    self.o.payload.meta.end.eq(meta.end & last),
                    self.o.payload.number.eq(number),
                    self.o.payload.bits.eq(Array(bits for bits, _ in vectors)[number]),
                    emitted.eq(0),
                ]
                if self.payloads.engine == "weight_grad":
                    m.d.sync += self.o.payload.later.eq(Array(later for _, later in vectors)[number])
                with m.If(~last):
                    m.d.sync += emitted.eq(emitted | lowest)
        return m
