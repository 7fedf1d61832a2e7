"""How often the classes of a group fired, over all timesteps of a sample."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig


class FiredCounts(wiring.Component):
    """Reads a group's spike words and counts, lane after lane: ``lanes`` + 2 cycles per word.

    A class that several neurons vote for has the spikes of all of them: those of one word, in every chunk, then those
    of the next word.

    Members
    -------
    first, stride : In, the group's first word, and words from one chunk to the next
    votes : In, of a core with ``voters``: words of a group and chunk, less one
    en : In(1), count; high until ``last``
    spike_address, spike_request : Out, asks for a spike word; spike_grant : In(1), its data follow in the next cycle
    spikes : In, the word
    fired : Out, spikes of a lane; valid : Out(1), they are there; last : Out(1), of the last lane
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "first": In(cfg.address_bits),
            "stride": In(cfg.address_bits),
            "en": In(1),
            **({"votes": In(range(cfg.voters))} if cfg.voters > 1 else {}),
            "spike_address": Out(cfg.address_bits),
            "spike_request": Out(1),
            "spike_grant": In(1),
            "spikes": In(cfg.spike_bits),
            "fired": Out(cfg.most_spikes.bit_length()),
            "valid": Out(1),
            "last": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, steps, many = self.cfg, self.cfg.timesteps, self.cfg.chunks > 1 or self.cfg.voters > 1
        lane, word = Signal(range(max(cfg.lanes, 2))), Signal(cfg.spike_bits)
        chunk, behind = Signal(range(max(cfg.chunks, 2))), Signal(cfg.address_bits)
        before = Signal(cfg.lanes * len(self.fired) if many else 0)  # what words before have counted, lane by lane
        first, final = self.first, chunk == cfg.chunks - 1
        if cfg.voters > 1:
            vote, last_chunk = Signal(range(cfg.voters)), final
            first, final = self.first + vote, last_chunk & (vote == self.votes)
        m.d.comb += [
            self.spike_address.eq(first + behind),
            self.fired.eq(sum(word[t] for t in range(steps)) + before[: len(self.fired)]),
        ]
        with m.FSM():
            with m.State("ASK"):
                m.d.comb += self.spike_request.eq(self.en)
                with m.If(self.en & self.spike_grant):
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [word.eq(self.spikes), lane.eq(0)]
                m.next = "COUNT"
            with m.State("COUNT"):
                m.d.comb += self.valid.eq(final)
                m.d.sync += [word.eq(word >> steps), lane.eq(lane + 1)]
                if many:
                    m.d.sync += before.eq(Cat(before[len(self.fired) :], self.fired))
                with m.If(lane == cfg.lanes - 1):
                    m.d.comb += self.last.eq(final)
                    if many:
                        m.d.sync += [chunk.eq(chunk + 1), behind.eq(behind + self.stride)]
                        if cfg.voters > 1:
                            with m.If(last_chunk):
                                m.d.sync += [chunk.eq(0), behind.eq(0), vote.eq(Mux(final, 0, vote + 1))]
                        with m.If(final):
                            m.d.sync += [chunk.eq(0), behind.eq(0), before.eq(0)]
                    m.next = "ASK"
        return m
