"""Spikes and tokens out: what a core tells the next stage, the stage before, and the host."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import PUT, TOKEN, Packet, Packing
from trident.hw.isa.tokens import NO_TOKEN
from trident.hw.lib.fetch import Fetch
from trident.hw.noc.flits import flit_layout


class SendUnit(wiring.Component):
    """Send spike words of the last layer, then a token with the sample's label.

    ``count`` runs of ``groups`` words are read one after another and written to where the receivers have them: one run
    every ``blocks`` words from ``dst`` on. A packet does not go on from run to run. 2 cycles a word and 1 a flit.

    Members
    -------
    job : In; label : In; start : In(1); busy : Out(1)
    spike_address, spike_request, spike_grant, spikes : as in the loss unit
    o : stream of flits
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig):
        self.cfg, self.mesh = cfg, mesh
        super().__init__({
            "job": In(JOB.shape()),
            "label": In(16),
            "start": In(1),
            "busy": Out(1),
            "spike_address": Out(cfg.address_bits),
            "spike_request": Out(1),
            "spike_grant": In(1),
            "spikes": In(cfg.spike_bits),
            "o": Out(stream.Signature(flit_layout(mesh))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, flit = self.cfg, self.job, self.mesh.flit
        packing = Packing(self.mesh, cfg.spike_bits)
        per, pieces, longest = packing.per_flit, packing.pieces, packing.per_packet
        address = Signal(cfg.address_bits)
        bits = cfg.address_bits
        run, word = Signal(bits), Signal(bits)  # runs and words of the run still to go
        base, put = Signal(bits), Signal(bits)  # where the run and the packet go
        left = Signal(range(longest + 1))  # words of the packet still to go
        buffer, count = Signal(flit * pieces), Signal(range(max(per, pieces) + 1))
        o = self.o
        if cfg.short_paths:  # flits leave from a register
            m.submodules.leaving = leaving = Fetch(flit_layout(self.mesh))
            wiring.connect(m, leaving.o, wiring.flipped(self.o))
            o = leaving.i
        header, token = Signal(PUT.shape()), Signal(TOKEN.shape())
        size = Signal(range(longest + 1))
        m.d.comb += [
            size.eq(Mux(word > longest, longest, word)),
            self.spike_address.eq(address),
            header.packet.eq(Packet.SPIKES),
            header.address.eq(put),
            header.rest.eq((size - 1)[: (per - 1).bit_length()] if per > 1 else 0),
            token.packet.eq(Packet.TOKEN),
            token.token.eq(job.token),
            token.value.eq(self.label),
            header.as_value()[:8].eq(job.target),
            token.as_value()[:8].eq(job.target),
        ]
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [
                        address.eq(job.src), run.eq(job.count), word.eq(job.groups), base.eq(job.dst), put.eq(job.dst),
                        self.busy.eq(1),
                    ]  # fmt: skip
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += [o.valid.eq(1), o.payload.data.eq(header)]
                m.d.sync += [left.eq(size), count.eq(0)]
                with m.If(o.ready):
                    m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += self.spike_request.eq(1)
                with m.If(self.spike_grant):
                    m.next = "TAKE"
            with m.State("TAKE"):
                new = self.spikes
                if per > 1:
                    new = Cat(buffer[cfg.spike_bits : cfg.spike_bits * per], new)
                m.d.sync += [
                    buffer.eq(new), count.eq(count + 1 if pieces == 1 else 1),
                    address.eq(address + 1), word.eq(word - 1), left.eq(left - 1), put.eq(put + 1),
                ]  # fmt: skip
                m.next = "ASK"
                with m.If((count == per - 1) if pieces == 1 else 1):
                    m.next = "FLIT"
                with m.Elif(left == 1):
                    m.next = "FILL"
            with m.State("FILL"):  # words lie lowest in a flit that is not full
                m.d.sync += [buffer.eq(buffer >> cfg.spike_bits), count.eq(count + 1)]
                with m.If(count == per - 1):
                    m.next = "FLIT"
            with m.State("FLIT"):
                done = 1 if pieces == 1 else count == pieces
                m.d.comb += [
                    o.valid.eq(1),
                    o.payload.data.eq(buffer[:flit]),
                    o.payload.last.eq((left == 0) & done),
                ]
                with m.If(o.ready):
                    m.d.sync += [buffer.eq(buffer >> flit), count.eq(0 if pieces == 1 else count + 1)]
                    with m.If(done):
                        m.d.sync += count.eq(0)
                        m.next = "ASK"
                        with m.If(left == 0):
                            m.next = "HEADER"
                            with m.If(word == 0):
                                m.d.sync += [
                                    run.eq(run - 1), word.eq(job.groups), base.eq(base + job.blocks),
                                    put.eq(base + job.blocks),
                                ]  # fmt: skip
                                with m.If(run == 1):
                                    with m.If(job.token == NO_TOKEN):
                                        m.d.sync += self.busy.eq(0)
                                        m.next = "IDLE"
                                    with m.Else():
                                        m.next = "TOKEN"
            with m.State("TOKEN"):
                m.d.comb += [o.valid.eq(1), o.payload.data.eq(token), o.payload.last.eq(1)]
                with m.If(o.ready):
                    m.d.sync += self.busy.eq(0)
                    m.next = "IDLE"
        return m


class NotifyUnit(wiring.Component):
    """Give one token to other cores or to the host tile; its value is the core's faults.

    Members
    -------
    job : In; faults : In; start : In(1); busy : Out(1)
    o : stream of flits
    """

    def __init__(self, mesh: MeshConfig):
        self.mesh = mesh
        super().__init__({
            "job": In(JOB.shape()),
            "faults": In(8),
            "start": In(1),
            "busy": Out(1),
            "o": Out(stream.Signature(flit_layout(mesh))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        token = Signal(TOKEN.shape())
        m.d.comb += [
            token.packet.eq(Packet.TOKEN),
            token.token.eq(self.job.token),
            token.value.eq(self.faults),
            token.as_value()[:8].eq(self.job.target),
            self.o.payload.data.eq(token),
            self.o.payload.last.eq(1),
            self.o.valid.eq(self.busy),
        ]
        with m.If(self.start):
            m.d.sync += self.busy.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.busy.eq(0)
        return m
