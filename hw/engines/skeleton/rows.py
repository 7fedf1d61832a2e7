"""From column vectors to rows: one row read per vector and group of lanes."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.lib.fetch import Fetch


class RowLoop(wiring.Component):
    """For every vector, request the row of each group; one row per cycle, 1 cycle latency.

    The row's data appear at the memory's output together with ``o`` and stay until ``o`` is taken.

    Members
    -------
    i : stream of vectors
    o : stream of rows (without the data)
    tile, number : Out, the row to read: row ``number`` of a tile of rows
    en : Out(1), read enable
    group_step, group_entries : In, from the job; of several walks each vector has the former
    """

    def __init__(self, payloads: Payloads):
        self.payloads = payloads
        cfg = payloads.cfg
        super().__init__({
            "i": In(stream.Signature(payloads.vector)),
            "o": Out(stream.Signature(payloads.row)),
            "tile": Out(cfg.address_bits),
            "number": Out(cfg.vector_bits),
            "en": Out(1),
            "group_step": In(cfg.address_bits),
            "group_entries": In(cfg.entry_bits + 1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg = self.payloads.cfg
        m.submodules.fetch = fetch = Fetch(self.payloads.row)
        wiring.connect(m, fetch.o, wiring.flipped(self.o))

        vector = self.i.payload
        group = Signal.like(vector.meta.last_group)
        first = Signal(init=1)  # group
        entry = Signal(cfg.entry_bits)
        following = Signal(cfg.address_bits)  # tile of the next group
        last = Signal()
        m.d.comb += [
            last.eq(vector.null | (group == vector.meta.last_group)),
            self.tile.eq(Mux(first, vector.meta.tile, following)),
            self.number.eq(vector.number),
            self.en.eq(fetch.en & ~vector.null),
            fetch.i.valid.eq(self.i.valid),
            self.i.ready.eq(fetch.i.ready & last),
            fetch.i.payload.vector.eq(vector),
            fetch.i.payload.entry.eq(entry),
            fetch.i.payload.last.eq(last & vector.meta.end),
        ]
        with m.If(fetch.i.valid & fetch.i.ready):
            m.d.sync += [
                group.eq(Mux(last, 0, group + 1)),
                entry.eq(Mux(last, 0, entry + self.group_entries)),
                following.eq(self.tile + (vector.meta.group_step if self.payloads.walks > 1 else self.group_step)),
                first.eq(last),
            ]
        return m
