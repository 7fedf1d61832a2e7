"""Counting semaphores between the queues of a core, and between cores."""

from amaranth.hdl import Module, Mux
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.tokens import TOKEN_BITS, Token

TOKENS = len(Token)


class TokenCounters(wiring.Component):
    """A count per token, in a small memory: one is looked at and changed in a cycle. Other cores come first.

    Members
    -------
    incoming, incoming_en : In, a token from another core, which cannot wait; while it comes, nothing else happens
    token : In, the one that the sequencer looks at; count : Out, its count, unless ``given_en``
    add, take, set : In(1), add one to it, take one from it, make it ``value``
    asked : In, the one that the host reads; told : Out, its count
    """

    def __init__(self):
        super().__init__({
            "incoming": In(range(TOKENS)),
            "incoming_en": In(1),
            "token": In(range(TOKENS)),
            "count": Out(TOKEN_BITS),
            "add": In(1),
            "take": In(1),
            "set": In(1),
            "value": In(TOKEN_BITS),
            "query": In(range(TOKENS)),
            "query_count": Out(TOKEN_BITS),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.counts = counts = memory.Memory(shape=TOKEN_BITS, depth=TOKENS, init=[])
        look, host, write = counts.read_port(domain="comb"), counts.read_port(domain="comb"), counts.write_port()
        m.d.comb += [
            look.addr.eq(Mux(self.incoming_en, self.incoming, self.token)),
            write.addr.eq(look.addr),
            write.en.eq(self.incoming_en | self.add | self.take | self.set),
            write.data.eq(look.data + Mux(self.take & ~self.incoming_en, (1 << TOKEN_BITS) - 1, 1)),
            self.count.eq(look.data),
            host.addr.eq(self.query),
            self.query_count.eq(host.data),
        ]
        with m.If(self.set & ~self.incoming_en):
            m.d.comb += write.data.eq(self.value)
        return m
