"""The pool unit: joins the spikes of windows of pixels, and leaves each window's error to one of them."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.lib.times import times


def rewrite_ports(cfg: CoreConfig) -> dict:
    """The ports of a unit that reads spike words with their masks and writes others in their place."""
    return {
        "job": In(JOB.shape()), "start": In(1), "busy": Out(1),
        "spike_address": Out(cfg.address_bits), "spike_request": Out(1), "spike_grant": In(1),
        "spikes": In(cfg.spike_bits), "masks": In(cfg.spike_bits),
        "word_address": Out(cfg.address_bits), "word_en": Out(1), "word": Out(cfg.spike_bits),
        "mask_address": Out(cfg.address_bits), "mask_en": Out(1), "mask": Out(cfg.spike_bits),
    }  # fmt: skip


class PoolUnit(wiring.Component):
    """A window fires when one of its ``cfg.pool`` x ``cfg.pool`` pixels does. Of the masks of those, bits stay where
    the pixel is the first that fired or, where none did, the window's first.

    Or, of a core with planes, those that fire are counted: a word for each bit of the number, and masks stay.

    Every window is read twice: its spikes are joined, then each pixel's mask is written again, and the words. One word
    per granted cycle, and a cycle between windows.

    Members
    -------
    job : In: ``src`` is the first spike word, ``dst`` the first that is written, of ``src_y`` x ``src_x`` windows of
        ``groups`` words; ``count``: words of a row of pixels; ``block_step``: 0, or spikes are counted, and so many
        words are from one bit of the numbers to the next
    start : In(1), a pulse; busy : Out(1)
    spike_address, spike_request : Out, asks for a spike word and its mask; spike_grant : In(1), its data follow in the
        next cycle
    spikes, masks : In, the words
    word_address, word_en, word : write port for spikes; mask_address, mask_en, mask : for masks
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__(rewrite_ports(cfg))

    def elaborate(self, platform):
        m = Module()
        cfg, job, size = self.cfg, self.job, self.cfg.pool
        window, row = Signal(cfg.address_bits), Signal(cfg.address_bits)  # first words of the window, of its row
        group, x, y = Signal(cfg.address_bits), Signal(8), Signal(8)
        at_x, at_y = Signal(range(size)), Signal(range(size))  # the pixel of the window
        line, pixel = Signal(cfg.address_bits), Signal(cfg.address_bits)  # words before its row and it
        again = Signal()  # the second time
        asking = Signal()

        last_x, last_y = at_x == size - 1, at_y == size - 1
        ends = last_x & last_y
        m.d.comb += [
            self.spike_address.eq(window + line + pixel),
            self.spike_request.eq(asking),
        ]
        with m.If(self.spike_grant):
            m.d.sync += [at_x.eq(at_x + 1), pixel.eq(pixel + job.groups)]
            with m.If(last_x):
                m.d.sync += [at_x.eq(0), pixel.eq(0), at_y.eq(at_y + 1), line.eq(line + job.count)]
            with m.If(ends):
                m.d.sync += [at_y.eq(0), line.eq(0), again.eq(~again), asking.eq(~again)]

        # A cycle later
        there, second, first, last = Signal(), Signal(), Signal(), Signal()
        address, fired, before = Signal(cfg.address_bits), Signal(cfg.spike_bits), Signal(cfg.spike_bits)
        # How many have fired, in binary; without planes, whether any has
        planes = [
            Signal(cfg.spike_bits, name=f"plane{n}") for n in range((size**2).bit_length() if cfg.planes else 1)
        ]
        target, plane = Signal(cfg.address_bits), Signal(range(len(planes) + 1))  # where the window's words go
        m.d.sync += [
            there.eq(self.spike_grant), second.eq(again), first.eq((at_x == 0) & (at_y == 0)), last.eq(ends & again),
            address.eq(self.spike_address),
        ]  # fmt: skip
        counts = job.block_step.any() if cfg.planes else Const(0)
        m.d.comb += [
            fired.eq(reduce(or_, planes)),
            self.word.eq(Mux(counts, Array(planes)[plane], fired)),
            self.word_en.eq(there & second & (plane < Mux(counts, len(planes), 1))),
            self.mask.eq(self.masks & (self.spikes & ~Mux(first, 0, before) | Mux(first, ~fired, 0))),
            self.mask_address.eq(address),
            self.mask_en.eq(there & second & ~counts),
        ]
        with m.If(there):
            with m.If(second):
                m.d.sync += before.eq(Mux(first, 0, before) | self.spikes)
            with m.Else():
                carry = self.spikes
                for own in planes:
                    old = Mux(first, 0, own)
                    m.d.sync += own.eq(old ^ carry if planes[1:] else old | carry)
                    carry = old & carry
        with m.If(self.word_en):
            m.d.sync += [self.word_address.eq(self.word_address + job.block_step), plane.eq(plane + 1)]
        with m.If(there & last):
            m.d.sync += [target.eq(target + 1), self.word_address.eq(target + 1), plane.eq(0)]

        # The next window: of the next group, the next pixel, the next row
        with m.If(there & last):
            m.d.sync += [group.eq(group + 1), window.eq(window + 1), asking.eq(1)]
            with m.If(group + 1 == job.groups):
                m.d.sync += [group.eq(0), x.eq(x + 1), window.eq(window + 1 + times(job.groups, size - 1))]
                with m.If(x + 1 == job.src_x):
                    following = row + times(job.count, size)
                    m.d.sync += [x.eq(0), y.eq(y + 1), row.eq(following), window.eq(following)]
                    with m.If(y + 1 == job.src_y):
                        m.d.sync += [self.busy.eq(0), asking.eq(0)]
        with m.If(self.start):
            m.d.sync += [
                self.busy.eq(1), asking.eq(1), window.eq(job.src), row.eq(job.src), self.word_address.eq(job.dst),
                target.eq(job.dst), *(s.eq(0) for s in (group, x, y, plane)),
            ]  # fmt: skip
        return m
