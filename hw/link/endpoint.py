"""The chip's half of the link: a serial line on one side, packets on the other."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.faults import GRADIENT_FAULTS
from trident.hw.isa.frames import BUFFER, LINK_MAGIC, PAYLOAD, VERSION, Kind, link_digest
from trident.hw.isa.line import BYTE_BITS
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import ANSWER, Packet
from trident.hw.lib.streams import connect
from trident.hw.link.framer import Framer
from trident.hw.link.inbox import Inbox
from trident.hw.link.outbox import Outbox
from trident.hw.link.uart import UartReceiver, UartSender
from trident.hw.link.upload import Upload
from trident.hw.noc.flits import flit_layout

RESET_CYCLES = 32


def beat_bits(clock_hz: int, baud: int) -> int:
    """Heartbeats come every two to this power cycles, which is at least the time of a longest payload on the line."""
    return (PAYLOAD * BYTE_BITS * clock_hz // baud).bit_length()


class Endpoint(wiring.Component):
    """Frames over a serial line, and what the chip says of itself.

    ``buffer``: bytes that each of its two buffers holds. Raises what :func:`check_room` raises.

    Members
    -------
    rx : In(1), synchronous; tx : Out(1)
    i : stream of flits from the chip; o : stream of flits to the chip
    active : In(1), a core runs; moving : In(1), something happens in a core
    clear : Out(1), puts the chip into its initial state
    error : Out(1), the link has dropped a frame or a core has reported a fault since the last reset
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig, clock_hz: int, baud: int, buffer: int = BUFFER):
        self.inbox = Inbox(buffer)
        self.cfg, self.mesh, self.clock_hz, self.baud = cfg, mesh, clock_hz, baud
        self.receiver, self.sender = UartReceiver(clock_hz, baud), UartSender(clock_hz, baud)
        self.outbox = Outbox(mesh, {
            "magic": LINK_MAGIC, "version": VERSION, "buffer": buffer.bit_length() - 1,
            "beat": beat_bits(clock_hz, baud), "digest": link_digest(cfg, mesh), "clock": clock_hz,
        })  # fmt: skip
        super().__init__({
            "rx": In(1, init=1),
            "tx": Out(1, init=1),
            "i": In(stream.Signature(flit_layout(mesh))),
            "o": Out(stream.Signature(flit_layout(mesh))),
            "active": In(1),
            "moving": In(1),
            "clear": Out(1),
            "error": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = self.receiver
        m.submodules.sender = sender = self.sender
        clear, page_wanted = Signal(), Signal()
        inbox, upload, outbox, framer = self.inbox, Upload(self.cfg, self.mesh), self.outbox, Framer()
        for name, part in (("inbox", inbox), ("upload", upload), ("outbox", outbox), ("framer", framer)):
            m.submodules[name] = ResetInserter(clear)(part)
        m.d.comb += [
            receiver.rx.eq(self.rx), self.tx.eq(sender.tx), self.clear.eq(clear),
            inbox.valid.eq(receiver.valid), inbox.data.eq(receiver.data), inbox.broken.eq(receiver.broken),
        ]  # fmt: skip
        for source, sink in (
            (inbox.o, upload.i), (upload.o, self.o), (self.i, outbox.i), (outbox.o, framer.i), (framer.o, sender.i),
        ):  # fmt: skip
            connect(m, source, sink)

        # Who the chip is
        session, worker = Signal(8), Signal(8)
        m.d.comb += [outbox.worker.eq(worker), outbox.asked.eq(page_wanted & ~clear)]
        header, cycles = inbox.header, Signal(range(RESET_CYCLES))
        m.d.comb += [clear.eq(cycles.any()), inbox.session.eq(session)]
        with m.If(clear):
            m.d.sync += cycles.eq(cycles - 1)
        with m.If(~clear):
            m.d.sync += page_wanted.eq(0)
        with m.If(inbox.frame & (header.kind != Kind.DATA)):
            m.d.sync += page_wanted.eq(1)
            with m.If((header.kind == Kind.RESET) & (header.session != session)):
                m.d.sync += [session.eq(header.session), cycles.eq(RESET_CYCLES - 1)]
            with m.If(header.kind == Kind.WORKER):
                m.d.sync += worker.eq(header.received[: len(worker)])

        # What its frames say besides
        beat, again, moving = Signal(beat_bits(self.clock_hz, self.baud)), Signal(), Signal()
        turn, own = Signal(2), Signal()
        m.d.sync += beat.eq(beat + 1)
        m.d.comb += [
            own.eq(inbox.frame & (header.kind == Kind.DATA) & (header.session == session)),
            outbox.beat.eq(beat == 0), outbox.answer.eq(inbox.answer),
            outbox.acknowledged.eq(header.received), outbox.again.eq(header.again), outbox.acknowledged_en.eq(own),
            outbox.status.again.eq(again), outbox.status.turn.eq(turn), outbox.status.busy.eq(self.active),
            outbox.status.moving.eq(moving), outbox.status.fault.eq(self.error), outbox.status.session.eq(session),
            outbox.status.received.eq(inbox.received), outbox.status.taken.eq(inbox.taken),
        ]  # fmt: skip
        moves = self.moving | (self.i.valid & self.i.ready) | (self.o.valid & self.o.ready)
        with m.If(own):
            m.d.sync += turn.eq(header.turn)
        with m.If(outbox.begun):
            m.d.sync += [again.eq(0), moving.eq(0)]
        with m.If(inbox.again):
            m.d.sync += again.eq(1)
        with m.If(moves):
            m.d.sync += moving.eq(1)

        # A status that tells of a fault which the host does not mend by itself
        answer, inside, status = ANSWER.shape()(self.i.payload.data[:32]), Signal(), Signal()
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [inside.eq(~self.i.payload.last), status.eq((answer.packet == Packet.ANSWER) & answer.kind)]
            with m.If(inside & status & (self.i.payload.data[:8] & ~GRADIENT_FAULTS & 0xFF).any()):
                m.d.sync += self.error.eq(1)
            with m.If(inside):
                m.d.sync += status.eq(0)
        with m.If(inbox.bad):
            m.d.sync += self.error.eq(1)
        with m.If(clear):
            m.d.sync += [self.error.eq(0), turn.eq(0), again.eq(0), moving.eq(0), inside.eq(0)]
        return m
