"""Which neurons are under way, so that none begins a timestep before its last one has come back."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.lib.onehot import with_bit


class Pending(wiring.Component):
    """A bit per neuron of a tile, from when it is taken to when it is done.

    early: whether ``free`` is known a cycle before.

    Members
    -------
    item : In, the one that waits to be taken; free : Out(1), it may be; take : In(1), it is
    following, moves : In, with ``short_paths`` but without a shared engine, what ``item`` is from the next cycle on, if
        it ``moves``: so ``free`` is a register
    done_item, done : In, this one is done
    busy : Out(1), some are under way
    """

    def __init__(self, cfg: CoreConfig, items: int):
        self.items = items
        self.early = cfg.short_paths and not cfg.shared_engine  # which is to be small
        number = range(max(items, 2))
        super().__init__({
            "item": In(number), "free": Out(1, init=1), "take": In(1), "following": In(number), "moves": In(1),
            "done_item": In(number), "done": In(1), "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        items = self.items
        pending, left, after = Signal(items), Signal(items), Signal(items)
        m.d.comb += [left.eq(pending), after.eq(left), self.busy.eq(pending.any())]
        with m.If(self.done):
            m.d.comb += left.eq(with_bit(pending, self.done_item, 0, items))
        with m.If(self.take):
            m.d.comb += after.eq(with_bit(left, self.item, 1, items))
        m.d.sync += pending.eq(after)

        def will_be_free(item):
            return ~pending.bit_select(item, 1) | self.done & (self.done_item == item)

        if self.early:
            moved = will_be_free(self.following) & ~(self.take & (self.following == self.item))
            m.d.sync += self.free.eq(Mux(self.moves, moved, will_be_free(self.item)))
        else:
            m.d.comb += self.free.eq(~pending.bit_select(self.item, 1))
        return m
