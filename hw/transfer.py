"""Samples in, spikes out: the two engines that move words between the core's memories and the host."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.layouts import HEADER, JOB, SPIKE_SLOTS, WORD, Packet, elements_to_words


class ReceiveUnit(wiring.Component):
    """Take a sample from the host: its label, then ``count`` spike words, each as 32-bit words, lowest first.

    Members
    -------
    job : In; dst : In, first word that is written, for this sample; slot : In(2), the sample's slot
    start : In(1); busy : Out(1)
    i : stream of 32-bit words
    word_address, word_en, word : write port for spike words; word_ready : In(1), it is free
    labels : Out, the label of each slot
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "job": In(JOB.shape()),
            "dst": In(cfg.address_bits),
            "slot": In(2),
            "start": In(1),
            "busy": Out(1),
            "i": In(stream.Signature(WORD)),
            "word_address": Out(cfg.address_bits),
            "word_en": Out(1),
            "word_ready": In(1),
            "word": Out(cfg.spike_bits),
            "labels": Out(16).array(SPIKE_SLOTS),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        pieces = elements_to_words(self.cfg.spike_bits)
        buffer = Signal(pieces * WORD)
        piece = Signal(range(max(pieces, 2)))
        address, left = Signal(self.cfg.address_bits), Signal(16)
        m.d.comb += [self.word_address.eq(address), self.word.eq(buffer)]
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [address.eq(self.dst), left.eq(self.job.count), piece.eq(0), self.busy.eq(1)]
                    m.next = "LABEL"
            with m.State("LABEL"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    for n in range(SPIKE_SLOTS):
                        with m.If(self.slot == n):
                            m.d.sync += self.labels[n].eq(self.i.payload)
                    m.next = "COLLECT"
            with m.State("COLLECT"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    m.d.sync += [
                        buffer.eq(Cat(buffer[WORD:], self.i.payload) if pieces > 1 else self.i.payload),
                        piece.eq(piece + 1),
                    ]
                    with m.If(piece == pieces - 1):
                        m.d.sync += piece.eq(0)
                        m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += self.word_en.eq(1)
                with m.If(self.word_ready):
                    m.d.sync += [address.eq(address + 1), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.d.sync += self.busy.eq(0)
                        m.next = "IDLE"
                    with m.Else():
                        m.next = "COLLECT"
        return m


class SendUnit(wiring.Component):
    """Send ``count`` spike words of the last layer to the host as one SPIKES packet.

    Members
    -------
    job : In; src : In, first word that is read, for this sample; start : In(1); busy : Out(1)
    spike_address, spike_request, spike_grant, spikes : as of the loss unit
    o : stream of 32-bit words; last : Out(1), the packet ends with this word
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__({
            "job": In(JOB.shape()),
            "src": In(cfg.address_bits),
            "start": In(1),
            "busy": Out(1),
            "spike_address": Out(cfg.address_bits),
            "spike_request": Out(1),
            "spike_grant": In(1),
            "spikes": In(cfg.spike_bits),
            "o": Out(stream.Signature(WORD)),
            "last": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        pieces = elements_to_words(self.cfg.spike_bits)
        buffer = Signal(pieces * WORD)
        piece = Signal(range(max(pieces, 2)))
        address, left = Signal(self.cfg.address_bits), Signal(16)
        header = Signal(HEADER.shape())
        m.d.comb += [
            self.spike_address.eq(address),
            header.packet.eq(Packet.SPIKES),
            header.count.eq(self.job.count),
        ]
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [address.eq(self.src), left.eq(self.job.count), self.busy.eq(1)]
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(header)]
                with m.If(self.o.ready):
                    m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += self.spike_request.eq(1)
                with m.If(self.spike_grant):
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [buffer.eq(self.spikes), piece.eq(0), address.eq(address + 1), left.eq(left - 1)]
                m.next = "SEND"
            with m.State("SEND"):
                end_of_word = piece == pieces - 1
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.eq(buffer[:WORD]),
                    self.last.eq(end_of_word & (left == 0)),
                ]
                with m.If(self.o.ready):
                    m.d.sync += [buffer.eq(buffer >> WORD), piece.eq(piece + 1)]
                    with m.If(end_of_word):
                        with m.If(left == 0):
                            m.d.sync += self.busy.eq(0)
                            m.next = "IDLE"
                        with m.Else():
                            m.next = "ASK"
        return m
