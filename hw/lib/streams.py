"""Streams: a checked connection, one of several sources, and random stalls on every connection for verification."""

from contextlib import contextmanager
from contextvars import ContextVar
from random import Random

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

_stalls: ContextVar[Random | None] = ContextVar("stalls", default=None)


@contextmanager
def random_stalls(seed: int):
    """Within this context, every connection that :func:`connect` makes at elaboration gets a :class:`Throttle`."""
    token = _stalls.set(Random(seed))
    try:
        yield
    finally:
        _stalls.reset(token)


def stall_state() -> str:
    """What the stalls of this context will be, as a key for what is built in it; empty outside."""
    stalls = _stalls.get()
    return "" if stalls is None else repr(stalls.getstate())


class Throttle(wiring.Component):
    """Let a stream through in random cycles; a transfer that is offered stays offered until it is taken.

    Members
    -------
    i, o : streams of ``shape``
    """

    def __init__(self, shape, seed: int):
        self.seed = seed & 0xFFFF or 1
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        noise = Signal(16, init=self.seed)  # Galois register, period 2**16 - 1
        m.d.sync += noise.eq((noise >> 1) ^ (noise[0].replicate(16) & 0xB400))
        passing, offered = Signal(), Signal()
        m.d.comb += [
            passing.eq(offered | (noise[:3] != 0) & noise[5]),
            self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & passing),
            self.i.ready.eq(self.o.ready & passing),
        ]
        m.d.sync += offered.eq(self.o.valid & ~self.o.ready)
        return m


class Buffer(wiring.Component):
    """Places that take a stream's both directions through registers: no path from ``o.ready`` to ``i.ready``.

    Latency 1 cycle; two places take one transfer per cycle, one place every other.

    Members
    -------
    i, o : streams of ``shape``
    """

    def __init__(self, shape, places: int = 2):
        self.places = places
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        if self.places == 1:
            m.d.comb += self.i.ready.eq(~self.o.valid)
            with m.If(self.i.ready):
                m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
            with m.Elif(self.o.ready):
                m.d.sync += self.o.valid.eq(0)
            return m
        spare, full = Signal.like(self.i.payload), Signal()
        m.d.comb += self.i.ready.eq(~full)
        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += [self.o.valid.eq(full | self.i.valid), full.eq(0)]
            with m.If(full):
                m.d.sync += self.o.payload.eq(spare)
            with m.Else():
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(self.i.valid & ~full):
            m.d.sync += [spare.eq(self.i.payload), full.eq(1)]
        return m


def connect(m: Module, source, sink):
    """Connect a stream's source to its sink; their payloads must have the same shape.

    Raises TypeError where they differ, which ``wiring.connect`` would let pass.
    """
    if source.payload.shape() != sink.payload.shape():
        raise TypeError(f"a stream of {source.payload.shape()!r} cannot feed a stream of {sink.payload.shape()!r}")
    stalls = _stalls.get()
    if stalls is None:
        parts = [(source, sink)]
    else:
        throttle = Throttle(source.payload.shape(), stalls.getrandbits(16))
        m.submodules += throttle
        parts = [(source, throttle.i), (throttle.o, sink)]
    for out, into in parts:
        m.d.comb += [into.valid.eq(out.valid), into.payload.eq(out.payload), out.ready.eq(into.ready)]


def join(m: Module, sink, *sources):
    """Connect one of several sources of a stream: pairs of a condition and a source, at most one of which holds."""
    for n, (chosen, source) in enumerate(sources):
        with m.If(chosen) if n == 0 else m.Elif(chosen):
            m.d.comb += sink.payload.eq(source.payload)
    m.d.comb += [
        sink.valid.eq(Cat(source.valid & chosen for chosen, source in sources).any()),
        *(source.ready.eq(sink.ready & chosen) for chosen, source in sources),
    ]
