"""A serial line: bytes to bits and back, 8N1, with a divider for any ratio of clock and baud rate."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.line import BYTE_BITS, divider


class UartReceiver(wiring.Component):
    """Bytes from a line, each bit the majority of three samples around its middle.

    A byte appears in the middle of its stop bit, for one cycle.

    Members
    -------
    rx : In(1), already synchronous
    valid : Out(1), a pulse; data : Out(8)
    broken : Out(1), a pulse: the stop bit was missing, there is no byte
    """

    def __init__(self, clock_hz: int, baud: int):
        self.width, self.step = divider(clock_hz, baud)
        super().__init__({"rx": In(1, init=1), "valid": Out(1), "data": Out(8), "broken": Out(1)})

    def elaborate(self, platform):
        m = Module()
        samples = Signal(2, init=3)
        m.d.sync += samples.eq(Cat(self.rx, samples))
        bit = Signal()
        m.d.comb += bit.eq((self.rx & samples[0]) | (self.rx & samples[1]) | (samples[0] & samples[1]))
        phase = Signal(self.width + 1)
        middle = phase[-1]
        left = Signal(range(BYTE_BITS))
        running = Signal()
        m.d.sync += [self.valid.eq(0), self.broken.eq(0)]
        # Half a bit from the edge to the first middle; the three samples are centred a cycle before it
        half = (1 << (self.width - 1)) + self.step
        m.d.sync += phase.eq(phase[: self.width] + self.step)
        with m.If(~running):
            m.d.sync += [left.eq(BYTE_BITS - 1), phase.eq(half)]
            with m.If(~self.rx & samples[0]):
                m.d.sync += running.eq(1)
        with m.Elif(middle):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 0):
                m.d.sync += [running.eq(0), self.valid.eq(bit), self.broken.eq(~bit)]
            with m.Elif(left == BYTE_BITS - 1):
                m.d.sync += running.eq(~bit)  # an edge that was too short for a start bit
            with m.Else():
                m.d.sync += self.data.eq(Cat(self.data[1:], bit))
        return m


class UartSender(wiring.Component):
    """Bytes to a line, without a gap while there are some: the next one is taken while a byte is sent.

    Members
    -------
    i : stream of bytes
    tx : Out(1), from a register
    """

    def __init__(self, clock_hz: int, baud: int):
        self.width, self.step = divider(clock_hz, baud)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        phase = Signal(self.width + 1)
        left = Signal(range(BYTE_BITS + 1))
        bits, waiting, full = Signal(9, init=0x1FF), Signal(8), Signal()
        m.d.sync += phase.eq(phase[: self.width] + self.step)
        m.d.comb += self.i.ready.eq(~full)
        with m.If(self.i.valid & ~full):
            m.d.sync += [waiting.eq(self.i.payload), full.eq(1)]
        with m.If(phase[-1]):
            with m.If(left == 0):
                with m.If(full):
                    m.d.sync += [self.tx.eq(0), bits.eq(Cat(waiting, 1)), left.eq(BYTE_BITS - 1), full.eq(0)]
            with m.Else():
                m.d.sync += [self.tx.eq(bits[0]), bits.eq(Cat(bits[1:], 1)), left.eq(left - 1)]
        return m
