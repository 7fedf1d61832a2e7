"""The host port: packets of 32-bit words in, packets out."""

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.layouts import HEADER, WORD, Packet, Space, elements_to_words


def space_bits(cfg: CoreConfig) -> dict[Space, int]:
    """Bits of one element of each memory; an element crosses the host port as whole 32-bit words, lowest first."""
    row, word = cfg.row_bits, cfg.spike_bits
    return {
        Space.PROGRAM: WORD,
        Space.JOBS: WORD,
        Space.WEIGHTS: row,
        Space.MOMENTUM: row,
        Space.GRADIENTS: row,
        Space.SPIKES: word,
        Space.MASKS: word,
        Space.ERRORS: row,
        Space.ERROR_MASKS: word,
        Space.POTENTIALS: row,
        Space.LOSS_TABLE: cfg.width,
        Space.REGISTERS: WORD,
    }


class HostPort(wiring.Component):
    """Carry out the host's packets one after another; memories are for the host only while no program runs.

    Members
    -------
    i, o : streams of 32-bit words, packets as of :class:`hw.layouts.Packet`
    select : Out, one bit per space that is read or written; write : Out(1); address, wdata : Out; rdata : In, per
        space,
        one cycle after the address
    start, samples : Out, start the program; halted : In(1), a pulse; status : In(32), sent with HALTED
    sample : stream of 32-bit words for the receive unit
    send, send_last : stream of a SPIKES packet from the send unit
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.bits = space_bits(cfg)
        self.element_bits = WORD * max(elements_to_words(bits) for bits in self.bits.values())
        super().__init__({
            "i": In(stream.Signature(WORD)),
            "o": Out(stream.Signature(WORD)),
            "select": Out(len(Space)),
            "write": Out(1),
            "address": Out(24),
            "wdata": Out(self.element_bits),
            "rdata": In(self.element_bits).array(len(Space)),
            "start": Out(1),
            "samples": Out(WORD),
            "halted": In(1),
            "status": In(WORD),
            "sample": Out(stream.Signature(WORD)),
            "send": In(stream.Signature(WORD)),
            "send_last": In(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        header = Signal(HEADER.shape())
        left = Signal(24)
        pieces = Array(Const(elements_to_words(self.bits[space]), 8) for space in Space)[header.space]
        piece = Signal(8)
        buffer = Signal(self.element_bits)
        chosen = Signal(len(Space))
        m.d.comb += [chosen.eq(1 << header.space), self.samples.eq(self.i.payload)]
        # A written element is built with its first word lowest
        placed = Signal(self.element_bits)
        m.d.comb += [placed.eq(buffer), self.wdata.eq(placed)]
        for n in range(self.element_bits // WORD):
            with m.If(piece == n):
                m.d.comb += placed[n * WORD : (n + 1) * WORD].eq(self.i.payload)

        # Answers of this unit; the send unit's packets go between them
        answer = stream.Signature(WORD).create()
        answer_last = Signal()
        halted = Signal()
        with m.If(self.halted):
            m.d.sync += halted.eq(1)
        with m.FSM(name="request"):
            with m.State("HEADER"):
                m.d.comb += self.i.ready.eq(~halted)
                with m.If(halted):
                    m.next = "HALTED"
                with m.Elif(self.i.valid):
                    m.d.sync += [header.eq(self.i.payload), piece.eq(0)]
                    m.next = "SECOND"
            with m.State("SECOND"):
                m.d.sync += left.eq(header.count)
                with m.Switch(header.packet):
                    with m.Case(Packet.SAMPLE):
                        m.next = "SAMPLE"
                    with m.Case(Packet.START):
                        m.d.comb += [self.i.ready.eq(1), self.start.eq(self.i.valid)]
                        with m.If(self.i.valid):
                            m.next = "HEADER"
                    with m.Default():
                        m.d.comb += self.i.ready.eq(1)
                        with m.If(self.i.valid):
                            m.d.sync += self.address.eq(self.i.payload)
                            m.next = "ANSWER"
                            with m.If(header.packet == Packet.WRITE):
                                m.next = "WRITE"
            with m.State("SAMPLE"):
                m.d.comb += [
                    self.sample.payload.eq(self.i.payload),
                    self.sample.valid.eq(self.i.valid),
                    self.i.ready.eq(self.sample.ready),
                ]
                with m.If(self.i.valid & self.i.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "HEADER"
            with m.State("WRITE"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [buffer.eq(placed), piece.eq(piece + 1)]
                    with m.If(piece + 1 == pieces):
                        m.d.comb += [self.select.eq(chosen), self.write.eq(1)]
                        m.d.sync += [piece.eq(0), left.eq(left - 1), self.address.eq(self.address + 1)]
                        with m.If(left == 1):
                            m.next = "HEADER"
            with m.State("ANSWER"):
                reply = Signal(HEADER.shape())
                m.d.comb += [
                    reply.packet.eq(Packet.DATA),
                    reply.space.eq(header.space),
                    reply.count.eq(header.count),
                    answer.payload.eq(reply),
                    answer.valid.eq(1),
                ]
                with m.If(answer.ready):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.select.eq(chosen)
                m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [
                    buffer.eq(Array(self.rdata)[header.space]),
                    left.eq(left - 1),
                    self.address.eq(self.address + 1),
                ]
                m.next = "SEND"
            with m.State("SEND"):
                end = piece + 1 == pieces
                m.d.comb += [
                    answer.payload.eq(buffer[:WORD]),
                    answer.valid.eq(1),
                    answer_last.eq(end & (left == 0)),
                ]
                with m.If(answer.ready):
                    m.d.sync += [buffer.eq(buffer >> WORD), piece.eq(piece + 1)]
                    with m.If(end):
                        m.d.sync += piece.eq(0)
                        m.next = "READ"
                        with m.If(left == 0):
                            m.next = "HEADER"
            with m.State("HALTED"):
                told = Signal()
                notice = Signal(HEADER.shape())
                m.d.comb += [
                    notice.packet.eq(Packet.HALTED),
                    notice.count.eq(1),
                    answer.valid.eq(1),
                    answer.payload.eq(Mux(told, self.status, notice)),
                    answer_last.eq(told),
                ]
                with m.If(answer.ready):
                    m.d.sync += told.eq(~told)
                    with m.If(told):
                        m.d.sync += halted.eq(0)
                        m.next = "HEADER"

        with m.FSM(name="out"):
            with m.State("IDLE"):
                with m.If(self.send.valid):
                    m.next = "SPIKES"
                with m.Elif(answer.valid):
                    m.next = "ANSWER"
            with m.State("SPIKES"):
                m.d.comb += [
                    self.o.payload.eq(self.send.payload),
                    self.o.valid.eq(self.send.valid),
                    self.send.ready.eq(self.o.ready),
                ]
                with m.If(self.o.valid & self.o.ready & self.send_last):
                    m.next = "IDLE"
            with m.State("ANSWER"):
                m.d.comb += [
                    self.o.payload.eq(answer.payload),
                    self.o.valid.eq(answer.valid),
                    answer.ready.eq(self.o.ready),
                ]
                with m.If(self.o.valid & self.o.ready & answer_last):
                    m.next = "IDLE"
        return m
