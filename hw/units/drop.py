"""The drop unit: clears the spikes of neurons that dropout drops, and the masks that let errors through to them."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.dropout import ROUNDS, WORD, hash_round, round_key
from trident.hw.isa.job import SAMPLE_BITS
from trident.hw.units.pool import rewrite_ports

COPIES_BITS = 8  # of the step from a sample's number to the next


class DropUnit(wiring.Component):
    """A hash of every neuron's place, of its sample and of a key says whether it is left, see
    :mod:`trident.hw.isa.dropout`; its spikes and its masks are kept or cleared, at all timesteps.

    A word is of neurons or, where spikes have been pooled, of windows of them: it is read and written with each of the
    masks of its pixels. The hashes of a word's lanes are made together, a round in a cycle, unless all is left; then
    one mask per granted cycle.

    Members
    -------
    job : In: ``src`` and ``dst`` are the first spike words that are read and written, of ``src_y`` x ``src_x`` pixels
        of ``groups`` words; ``aux`` is the first mask, ``count``: words of a row of pixels of masks, of which a word
        has ``last_tap`` + 1 in both directions; ``low``, ``high``: the key; ``threshold``: what is left has a hash, its
        bits in reverse order, below it, 0: all is left; ``pass_step``, ``tap_step``: the number of the core's first
        sample and the step from it to the next
    sample : In, how many samples of the core came before
    start : In(1), a pulse; busy : Out(1)
    spike_address, stored_address, spike_request : Out, ask for a spike word and a mask; spike_grant : In(1), both
        follow in the next cycle
    spikes, masks : In, the words
    word_address, word_en, word : write port for spikes; mask_address, mask_en, mask : for masks
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            **rewrite_ports(cfg), "sample": In(SAMPLE_BITS), "stored_address": Out(cfg.address_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.cfg, self.job
        source, target = Signal(cfg.address_bits), Signal(cfg.address_bits)  # where the word is read and written
        window, row = Signal(cfg.address_bits), Signal(cfg.address_bits)  # first masks of its pixels, of their row
        line, pixel = Signal(cfg.address_bits), Signal(cfg.address_bits)  # words before the mask's row and it
        at_x, at_y = Signal.like(job.last_tap), Signal.like(job.last_tap)
        group, x, y, place = Signal(cfg.address_bits), Signal(8), Signal(8), Signal(WORD)  # place: the pixel's number
        hashes, hashing, asking, ends, final = Signal(), Signal(), Signal(), Signal(), Signal()
        last_x = at_x == job.last_tap
        m.d.comb += [
            hashes.eq(job.threshold.any()),
            ends.eq(last_x & (at_y == job.last_tap)),
            self.spike_address.eq(source),
            self.stored_address.eq(window + line + pixel),
            self.spike_request.eq(asking),
        ]
        with m.If(self.spike_grant):
            m.d.sync += [at_x.eq(at_x + 1), pixel.eq(pixel + job.groups)]
            with m.If(last_x):
                m.d.sync += [at_x.eq(0), pixel.eq(0), at_y.eq(at_y + 1), line.eq(line + job.count)]
            with m.If(ends):  # the next word
                m.d.sync += [
                    at_y.eq(0), line.eq(0), source.eq(source + 1), target.eq(target + 1), group.eq(group + 1),
                    window.eq(window + 1), asking.eq(~hashes), hashing.eq(hashes),
                ]  # fmt: skip
                with m.If(group + 1 == job.groups):
                    m.d.sync += [group.eq(0), x.eq(x + 1), place.eq(place + 1), window.eq(window + 1 + pixel)]
                    with m.If(x + 1 == job.src_x):
                        following = row + line + job.count
                        m.d.sync += [x.eq(0), y.eq(y + 1), row.eq(following), window.eq(following)]
                        with m.If(y + 1 == job.src_y):
                            m.d.comb += final.eq(1)
                            m.d.sync += [asking.eq(0), hashing.eq(0)]

        # A cycle later
        there, last, done = Signal(), Signal(), Signal()
        left = Cat(keep.replicate(cfg.timesteps) for keep in self._kept(m, place, group, hashing, asking))
        m.d.sync += [
            there.eq(self.spike_grant), last.eq(ends), done.eq(final), self.word_address.eq(target),
            self.mask_address.eq(self.stored_address),
        ]  # fmt: skip
        m.d.comb += [
            self.word.eq(self.spikes & left),
            self.word_en.eq(there & last),
            self.mask.eq(self.masks & left),
            self.mask_en.eq(there),
        ]
        with m.If(done):
            m.d.sync += self.busy.eq(0)
        with m.If(self.start):
            m.d.sync += [
                self.busy.eq(1), asking.eq(~hashes), hashing.eq(hashes), source.eq(job.src), target.eq(job.dst),
                window.eq(job.aux), row.eq(job.aux), *(s.eq(0) for s in (group, x, y, place)),
            ]  # fmt: skip
        return m

    def _kept(self, m: Module, place, group, hashing, asking) -> list:
        """By lane, whether it is left: ``hashing`` makes its hash, ``asking`` follows."""
        cfg, job = self.cfg, self.job
        number, step = Signal(SAMPLE_BITS), Signal(range(ROUNDS))  # of the sample in the minibatch; of the round
        words = number, job.low, job.high
        key = Array(round_key(words, n) for n in range(ROUNDS))[step]
        m.d.sync += number.eq(job.pass_step + self.sample * job.tap_step[:COPIES_BITS])
        with m.If(hashing):
            m.d.sync += step.eq(step + 1)
            with m.If(step == ROUNDS - 1):
                m.d.sync += [step.eq(0), hashing.eq(0), asking.eq(1)]
        kept = []
        for lane in range(cfg.lanes):
            first, second = Signal(WORD, name=f"first{lane}"), Signal(WORD, name=f"second{lane}")
            channel = Cat(Const(lane, cfg.lane_bits), group)
            before = Mux(step == 0, place, first), Mux(step == 0, channel, second)
            with m.If(hashing):
                m.d.sync += [a.eq(b) for a, b in zip((first, second), hash_round(*before, key), strict=True)]
            kept.append((second[::-1] < job.threshold) | ~job.threshold.any())
        return kept
