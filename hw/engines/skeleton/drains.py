"""Drains: in which order the accumulators of a finished tile leave."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.lib.onehot import bit_number, lowest_bit
from trident.hw.lib.times import times


def _ports(payloads: Payloads) -> dict:
    cfg = payloads.cfg
    return {
        "meta": In(payloads.meta),
        "groups": In(cfg.address_bits),
        "group_entries": In(cfg.entry_bits + 1),
        "planes": In(1),
        "line": In(cfg.address_bits),
        "step": In(1),
        "tag": Out(payloads.tag),
        "last": Out(1),
        "clear": Out(1, init=1),
    }


class TimeDrain(wiring.Component):
    """Every position and group at the first timestep, then all at the next one: the order of the neuron units.

    Consecutive drains belong to different neurons, so that a neuron's recurrence over time has its latency hidden.

    Members
    -------
    meta : In, the tile that is drained
    groups : In, words per pixel of the image that is written
    group_entries : In, accumulator entries of one group
    planes : In(1), the sum of the first timestep is that of every timestep
    line : In, not 0: every position is a window of ``cfg.pool`` x ``cfg.pool`` pixels of the image that is written,
        each of which gets its sum, and so many words are a row of that image
    step : In(1), the drain in ``tag`` is taken
    tag : Out, what is drained now
    last : Out(1), it is the tile's last; clear : Out(1), nothing else is drained from its entry
    """

    def __init__(self, payloads: Payloads, descending: bool):
        self.payloads, self.descending = payloads, descending
        super().__init__(_ports(payloads))

    def elaborate(self, platform):
        m = Module()
        cfg, cols = self.payloads.cfg, self.payloads.cols
        chunks = cfg.timesteps // cols
        time = Signal(range(max(cfg.timesteps, 2)))
        many = self.payloads.words > 1
        group = Signal.like(self.meta.last_group)
        chunk = Signal(range(max(chunks, 2)))
        col = Signal(range(max(cols, 2)))
        if many:
            word = Signal(4)
            base = Signal(cfg.entry_bits)  # entry of this group's first beat
            entry = Signal(cfg.entry_bits)  # base + word * chunks
            address = Signal(cfg.address_bits)  # relative to meta.dst
            last_word = word + 1 == self.meta.words
        else:  # a group has one word
            address, entry, last_word = group, group * chunks, Const(1)

        last_group = group == self.meta.last_group
        size, last_pixel, offset = cfg.pool if self.descending else 1, Const(1), Const(0)
        along = self.groups  # words from one position to the next
        if size > 1:
            pixel_x, pixel_y = Signal(range(size)), Signal(range(size))
            last_pixel, offset, line = Signal(), Signal(cfg.address_bits), Signal(cfg.address_bits)
            along = Mux(self.line.any(), times(self.groups, size), self.groups)
            last_x = pixel_x == size - 1
            m.d.comb += last_pixel.eq(~self.line.any() | last_x & (pixel_y == size - 1))
            with m.If(self.step):
                m.d.sync += [pixel_x.eq(pixel_x + 1), offset.eq(offset + self.groups)]
                with m.If(last_x):
                    m.d.sync += [
                        pixel_x.eq(0), pixel_y.eq(pixel_y + 1), line.eq(line + self.line), offset.eq(line + self.line)
                    ]  # fmt: skip
                with m.If(last_pixel):
                    m.d.sync += [s.eq(0) for s in (pixel_x, pixel_y, line, offset)]
        item, last_item = group, last_word & last_group & last_pixel
        if many or size > 1:
            item = Signal(self.tag.item.shape())
            with m.If(self.step):
                m.d.sync += item.eq(Mux(last_item, 0, item + 1))
        m.d.comb += [
            self.tag.address.eq(self.meta.dst + address + offset),
            *([self.tag.group.eq(self.meta.group + group)] if cfg.learns else []),
            self.tag.entry.eq(entry + Mux(self.planes, 0, Mux(self.descending, chunks - 1 - chunk, chunk))),
            self.tag.item.eq(item),
            self.tag.step.eq(Mux(self.descending, cfg.timesteps - 1 - time, time)),
            self.tag.col.eq(Mux(self.descending, cols - 1 - col, col)),
            self.clear.eq((col == cols - 1) & last_pixel & (~self.planes | (time == cfg.timesteps - 1))),
            self.last.eq(last_item & (time == cfg.timesteps - 1)),
        ]
        with m.If(self.step & last_pixel):
            with m.If(~last_word):
                if many:
                    m.d.sync += [
                        word.eq(word + 1),
                        entry.eq(entry + chunks),
                        address.eq(address + along),
                    ]
            with m.Elif(~last_group):
                m.d.sync += group.eq(group + 1)
                if many:
                    m.d.sync += [
                        word.eq(0),
                        base.eq(base + self.group_entries),
                        entry.eq(base + self.group_entries),
                        address.eq(group + 1),
                    ]
            with m.Else():
                m.d.sync += [group.eq(0), col.eq(col + 1), time.eq(time + 1)]
                if many:
                    m.d.sync += [s.eq(0) for s in (word, base, entry, address)]
                with m.If(col == cols - 1):
                    m.d.sync += [col.eq(0), chunk.eq(chunk + 1)]
                with m.If(time == cfg.timesteps - 1):
                    m.d.sync += [time.eq(0), chunk.eq(0), col.eq(0)]
        return m


class DirtyDrain(wiring.Component):
    """The entries that hold a sum and have not left with their last addition, in ascending order.

    Members as in :class:`TimeDrain`, and
    touched : In, a bit for each entry that holds a sum
    """

    def __init__(self, payloads: Payloads):
        self.payloads = payloads
        super().__init__(_ports(payloads) | {"touched": In(payloads.cfg.accumulators)})

    def elaborate(self, platform):
        m = Module()
        lowest = Signal(self.payloads.cfg.accumulators)
        m.d.comb += [
            lowest.eq(lowest_bit(self.touched)),
            self.last.eq(self.touched == lowest),
            self.tag.entry.eq(bit_number(lowest)),
        ]
        address, lane = block_position(self.payloads, self.meta, self.tag.entry, self.groups)
        m.d.comb += [self.tag.address.eq(address), self.tag.step.eq(lane)]
        return m


class SweepDrain(wiring.Component):
    """All entries one after another, whether or not they hold a sum: what a small core has instead of DirtyDrain.

    Members as in :class:`TimeDrain`, and
    ending : In(1), the entry in ``tag`` is the last that holds a sum
    """

    def __init__(self, payloads: Payloads):
        self.payloads = payloads
        super().__init__(_ports(payloads) | {"ending": In(1)})

    def elaborate(self, platform):
        m = Module()
        entry = Signal(self.payloads.cfg.entry_bits)
        m.d.comb += [
            self.last.eq(self.ending),
            self.tag.entry.eq(entry),
            self.tag.address.eq(self.meta.dst + entry),
        ]
        with m.If(self.step):
            m.d.sync += entry.eq(Mux(self.last, 0, entry + 1))
        return m


def block_position(payloads: Payloads, meta, entry, groups):
    """Tile and first lane that weight_grad's accumulator ``entry`` = (group, word, beat) belongs to."""
    beat_bits = (payloads.elements // payloads.cols - 1).bit_length()
    word_bits = (payloads.words - 1).bit_length()
    word = entry[beat_bits : beat_bits + word_bits]
    group = entry[beat_bits + word_bits :]
    return meta.dst + word * groups + group, entry[:beat_bits] * payloads.cols
