"""A fair choice of one among several requests."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Arbiter(wiring.Component):
    """Grant the request whose last turn is longest ago, in the same cycle.

    A request that wins no turn keeps its place, so one that is repeated, even with gaps, is served at the latest when
    every other has had one turn.

    Members
    -------
    requests : In(size); grant : Out(size), one bit of them, or none without a request
    taken : In(1), the grant is used: its request has had its turn
    """

    def __init__(self, size: int):
        self.size = size
        super().__init__({"requests": In(size), "grant": Out(size), "taken": In(1)})
        # a goes before b, for a < b
        self.before = {(a, b): Signal(init=1, name=f"before_{a}_{b}") for b in range(size) for a in range(b)}

    def elaborate(self, platform):
        m = Module()
        size = self.size
        before = self.before
        grants = []
        for n in range(size):
            loses = [self.requests[a] & first for (a, b), first in before.items() if b == n]
            loses += [self.requests[b] & ~first for (a, b), first in before.items() if a == n]
            grants.append(self.requests[n] & ~Cat(loses).any())
        m.d.comb += self.grant.eq(Cat(grants))
        with m.If(self.taken):
            for (a, b), first in before.items():
                m.d.sync += first.eq(first & ~self.grant[a] | self.grant[b])
        return m
