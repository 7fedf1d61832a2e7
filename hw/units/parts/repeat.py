"""The errors of a group of classes, once per timestep."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import error_item
from trident.hw.isa.config import CoreConfig


class RepeatErrors(wiring.Component):
    """Gives a row of errors at every timestep of a sample, the last one first: one row per cycle. All neurons that vote
    for a class have its error: the row is given to each of their words, one after another.

    Members
    -------
    row, group : In, the errors and which group of lanes they are, of several the first; stride : In, words from chunk
        to chunk
    votes : In, of a core with ``voters``: groups that the row is for, less one
    en : In(1), give them; high until ``done``
    done : Out(1), the last row is taken
    o : stream of rows of e
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "row": In(cfg.row_bits),
            "group": In(cfg.address_bits),
            "stride": In(cfg.address_bits),
            "en": In(1),
            **({"votes": In(range(cfg.voters))} if cfg.voters > 1 else {}),
            "done": Out(1),
            "o": Out(stream.Signature(error_item(Payloads(cfg, "backward")))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, tag, many = self.cfg, self.o.payload.tag, self.cfg.chunks > 1
        taken, chunk = Signal(range(max(cfg.timesteps, 2))), Signal(range(max(cfg.chunks, 2)))
        ahead = Signal(cfg.address_bits)  # words from the first chunk to this one
        group, done = self.group, chunk == cfg.chunks - 1
        if cfg.voters > 1:
            vote, last_chunk = Signal(range(cfg.voters)), done
            group, done = self.group + vote, last_chunk & (vote == self.votes)
        m.d.comb += [
            self.o.valid.eq(self.en),
            self.o.payload.row.eq(self.row),
            tag.step.eq(cfg.timesteps - 1 - taken),
            tag.address.eq(group + ahead),
        ]
        if cfg.learns:
            m.d.comb += tag.group.eq(group)
        if many:
            m.d.comb += [tag.carry.eq(chunk != 0), tag.word.eq(group)]
            with m.If(~self.en):
                m.d.sync += ahead.eq((cfg.chunks - 1) * self.stride)
        with m.If(self.en & self.o.ready):
            m.d.sync += taken.eq(taken + 1)
            with m.If(taken == cfg.timesteps - 1):
                m.d.sync += taken.eq(0)
                m.d.comb += self.done.eq(done)
                if many:
                    m.d.sync += [chunk.eq(chunk + 1), ahead.eq(ahead - self.stride)]
                    with m.If(self.done):
                        m.d.sync += chunk.eq(0)
                if cfg.voters > 1:
                    with m.If(last_chunk):
                        first = (cfg.chunks - 1) * self.stride
                        m.d.sync += [chunk.eq(0), ahead.eq(first), vote.eq(Mux(done, 0, vote + 1))]
        return m
