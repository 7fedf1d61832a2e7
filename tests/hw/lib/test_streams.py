"""Streams: buffers and throttles lose, double and reorder nothing; connections are checked."""

import pytest
from amaranth.hdl import Fragment, Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from trident.hw.lib.streams import Buffer, Throttle, connect, random_stalls


def _pass(design, count: int, offer, take):
    """Give ``count`` numbers to ``design`` in cycles where ``offer(n)`` is true and take them where ``take(n)`` is:
    what came out, and in how many cycles. The offer of a stream stays until it is taken, and so does its payload."""
    came, cycles = [], 0
    withdrawn = []

    async def bench(ctx):
        nonlocal cycles
        given, offered, waiting = 0, False, None
        while len(came) < count and cycles < 100 * count:
            offered = offered or (given < count and offer(cycles))
            ready = take(cycles)
            ctx.set(design.i.valid, offered)
            ctx.set(design.i.payload, given + 1 if offered else 0)
            ctx.set(design.o.ready, ready)
            await ctx.delay(1e-9)
            valid, payload = ctx.get(design.o.valid), ctx.get(design.o.payload)
            if waiting is not None and (not valid or payload != waiting):
                withdrawn.append(cycles)
            waiting = payload if valid and not ready else None
            if valid and ready:
                came.append(payload)
            if offered and ctx.get(design.i.ready):
                given, offered = given + 1, False
            await ctx.tick()
            cycles += 1

    simulator = Simulator(design)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert not withdrawn
    return came, cycles


PATTERNS = [lambda n: True, lambda n: n % 3 == 0, lambda n: (n * n) % 7 < 3]


@pytest.mark.parametrize("offer", PATTERNS)
@pytest.mark.parametrize("take", PATTERNS)
@pytest.mark.parametrize("make", [lambda: Throttle(8, 5), lambda: Throttle(8, 77), lambda: Buffer(8)])
def test_every_payload_once_in_order(make, offer, take):
    came, _ = _pass(make(), 60, offer, take)
    assert came == list(range(1, 61))


def test_buffer_passes_one_payload_per_cycle():
    came, cycles = _pass(Buffer(8), 60, lambda n: True, lambda n: True)
    assert len(came) == 60 and cycles == 61


def test_throttle_stalls():
    _, cycles = _pass(Throttle(8, 5), 60, lambda n: True, lambda n: True)
    assert cycles > 90


class _Chain(wiring.Component):
    """A buffer behind two checked connections."""

    def __init__(self):
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = Buffer(8)
        connect(m, wiring.flipped(self.i), buffer.i)
        connect(m, buffer.o, wiring.flipped(self.o))
        return m


def test_stalls_only_within_the_context():
    assert _pass(_Chain(), 40, lambda n: True, lambda n: True)[1] == 41
    with random_stalls(9):
        came, cycles = _pass(_Chain(), 40, lambda n: True, lambda n: True)
    assert cycles > 55 and came == list(range(1, 41))
    assert _pass(_Chain(), 40, lambda n: True, lambda n: True)[1] == 41


def test_link_refuses_other_shapes():
    source = stream.Signature(data.StructLayout({"a": 4, "b": 4})).create()
    sink = stream.Signature(8).create()
    m = Module()
    with pytest.raises(TypeError, match="cannot feed a stream of"):
        connect(m, source, sink)
    connect(m, stream.Signature(8).create(), sink)
    assert Fragment.get(m, None).statements
