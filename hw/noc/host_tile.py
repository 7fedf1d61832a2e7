"""The host's end of the network: packets in and out, room for samples, and the barrier of all cores."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import COMMAND, HEADER, TOKEN, Command, Mode, Packet, position
from trident.hw.isa.tokens import Token
from trident.hw.isa.words import WORD
from trident.hw.lib.streams import Buffer
from trident.hw.noc.flits import flit_layout, link_signature
from trident.hw.noc.inbox import Inbox
from trident.hw.noc.inject import Injector

ROOM_BITS = 4


def _core(mesh: MeshConfig, flit: Value) -> Value:
    """Where the core is that a packet's first flit names, as the number of its room."""
    return Cat(position(mesh, flit)) if mesh.far_bits else flit[2:WORD]


class HostTile(wiring.Component):
    """Pass packets between the host and the cores, and do what the host needs not be asked for.

    - It knows for how many samples each core has room: INPUT_FREE tokens that cores give to the host add to it, the
      command WAIT takes from it. A WAIT that has waited for LIMIT gives up: samples are then dropped, so that the host
      can still read what the cores wait for.
    - It collects the GO tokens of as many cores as VOTERS says; then every core gets GO with all their faults.

    Members
    -------
    i, o : streams of flits, whole packets from and to the host
    up : link to the router; down : link from it
    """

    def __init__(self, mesh: MeshConfig):
        self.mesh = mesh
        super().__init__({
            "i": In(stream.Signature(flit_layout(mesh))),
            "o": Out(stream.Signature(flit_layout(mesh))),
            "up": Out(link_signature(mesh)),
            "down": In(link_signature(mesh)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        mesh = self.mesh
        m.submodules.injector = injector = Injector(mesh, 2)
        wiring.connect(m, injector.o, wiring.flipped(self.up))
        packets, go = injector.i
        # x lowest, y above all of its bits
        across = mesh.position_bits
        bits = (mesh.width - 1).bit_length() if mesh.height == 1 else across + (mesh.height - 1).bit_length()
        m.submodules.room = room = memory.Memory(shape=ROOM_BITS, depth=1 << bits, init=[])
        read, write = room.read_port(domain="comb"), room.write_port()
        place = Signal(bits)  # whose room is read or written in this cycle
        m.d.comb += [read.addr.eq(place), write.addr.eq(place)]

        # From the cores
        m.submodules.inbox = inbox = Inbox(mesh)
        # Much hangs on the first flit; in parts, it comes every other cycle at most
        m.submodules.front = front = Buffer(flit_layout(mesh), places=2 if mesh.phits == 1 else 1)
        wiring.connect(m, wiring.flipped(self.down), inbox.i)
        wiring.connect(m, inbox.o, front.i)
        flit = front.o.payload
        token = TOKEN.shape()(flit.data[:WORD])
        inside = Signal()  # a packet for the host is under way
        leaving = front.o.valid & front.o.ready
        is_token = front.o.valid & ~inside & (token.packet == Packet.TOKEN)
        frees = is_token & (token.token != Token.GO)
        freeing, freed = Signal(), Signal(len(place))  # the same in the next cycle, when the room is counted
        m.d.sync += [freeing.eq(frees), freed.eq(_core(mesh, flit.data))]
        votes, voters = Signal(range(mesh.cores + 1)), Signal(range(mesh.cores + 1))
        faults = Signal(16)
        complete = Signal()
        m.d.comb += [
            complete.eq((votes == voters) & voters.any()),
            self.o.payload.eq(flit),
            self.o.valid.eq(front.o.valid & ~is_token),
            front.o.ready.eq(Mux(is_token, frees | ~complete, self.o.ready)),
        ]
        with m.If(leaving & ~is_token):
            m.d.sync += inside.eq(~flit.last)
        with m.If(leaving & is_token & ~frees):
            m.d.sync += [votes.eq(votes + 1), faults.eq(faults | token.value)]

        # The barrier
        answer = Signal(TOKEN.shape())
        m.d.comb += [
            answer.mode.eq(Mode.BROADCAST),
            answer.packet.eq(Packet.TOKEN),
            answer.token.eq(Token.GO),
            answer.value.eq(faults),
            go.payload.data.eq(answer),
            go.payload.last.eq(1),
            go.valid.eq(complete),
        ]
        with m.If(go.valid & go.ready):
            m.d.sync += [votes.eq(0), faults.eq(0)]

        # From the host
        header = HEADER.shape()(self.i.payload.data[:WORD])
        command = COMMAND.shape()(self.i.payload.data[:WORD])
        limit, waited = Signal(16, init=0xFFFF), Signal(26)
        stuck = Signal()
        counted, known = Signal(), Signal(ROOM_BITS)  # the room that a WAIT asks for has been read, and was this
        m.d.sync += [counted.eq(0), known.eq(read.data)]
        sample = (header.packet == Packet.SPIKES) | (header.packet == Packet.TOKEN)
        m.d.comb += [
            packets.payload.eq(self.i.payload),
            place.eq(Mux(freeing, freed, _core(mesh, self.i.payload.data))),
        ]
        with m.If(freeing):
            m.d.comb += [write.data.eq(read.data + 1), write.en.eq(1)]
        with m.FSM():
            with m.State("HEADER"):
                with m.If(self.i.valid):
                    with m.If(header.mode == Mode.HOST):
                        m.d.sync += waited.eq(waited + 1)
                        with m.Switch(header.packet):
                            with m.Case(Command.FREE):
                                with m.If(~freeing):
                                    m.d.comb += [write.data.eq(command.value), write.en.eq(1), self.i.ready.eq(1)]
                            with m.Case(Command.WAIT):
                                with m.If(~freeing & ~counted):
                                    m.d.sync += counted.eq(1)
                                with m.Elif(~freeing):
                                    with m.If(known.any() & ~stuck):
                                        m.d.comb += [write.data.eq(known - 1), write.en.eq(1)]
                                    m.d.comb += self.i.ready.eq(known.any() | stuck)
                                with m.If(waited[10:] == limit):
                                    m.d.sync += stuck.eq(1)
                            with m.Case(Command.VOTERS):
                                m.d.comb += self.i.ready.eq(1)
                                m.d.sync += [voters.eq(command.value), votes.eq(0), faults.eq(0)]
                            with m.Case(Command.LIMIT):
                                m.d.comb += self.i.ready.eq(1)
                                m.d.sync += [limit.eq(command.value), stuck.eq(0)]
                            with m.Default():
                                m.d.comb += self.i.ready.eq(1)
                        with m.If(self.i.ready):
                            m.d.sync += waited.eq(0)
                    with m.Elif(stuck & sample):
                        m.d.comb += self.i.ready.eq(1)
                        with m.If(~self.i.payload.last):
                            m.next = "DROP"
                    with m.Else():
                        m.d.comb += [packets.valid.eq(1), self.i.ready.eq(packets.ready)]
                        with m.If(packets.ready & ~self.i.payload.last):
                            m.next = "PASS"
            with m.State("PASS"):
                m.d.comb += [packets.valid.eq(self.i.valid), self.i.ready.eq(packets.ready)]
                with m.If(self.i.valid & self.i.ready & self.i.payload.last):
                    m.next = "HEADER"
            with m.State("DROP"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid & self.i.payload.last):
                    m.next = "HEADER"
        return m
