"""The flits of one virtual channel that wait at an input of a router."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.mesh import MeshConfig
from trident.hw.lib.onehot import lowest_bit
from trident.hw.noc.flits import phit_layout
from trident.hw.noc.ring import following


class Queue(wiring.Component):
    """Packets in order, each with the outputs that it still has to go to.

    A packet is read once per output (a branch), lowest first; only the last reading frees its places. A branch begins
    when all of the packet fits behind an output that is free; until then the packet holds nothing but its own places,
    so branches cannot block each other. A packet for no output is dropped.

    Members
    -------
    i : In, a flit; mask : In(branches), the outputs of its packet, with the packet's first flit, 0 with the others;
        push : In(1)
    available : In(branches), outputs that a packet could begin to use
    o : Out, the flit in front; want : Out(branches), the output that it goes to, or 0
    busy : Out(branches), the output that a packet has begun to use
    active : Out(1), the flit in front wants an output or is to be dropped; drop : Out(1), the latter
    take : In(1), the flit is sent or dropped
    freed : Out(1), a register: a place has been freed
    """

    def __init__(self, mesh: MeshConfig, branches: int):
        self.mesh, self.branches = mesh, branches
        super().__init__({
            "i": In(phit_layout(mesh)),
            "mask": In(branches),
            "push": In(1),
            "available": In(branches),
            "o": Out(phit_layout(mesh)),
            "want": Out(branches),
            "busy": Out(branches),
            "active": Out(1),
            "drop": Out(1),
            "take": In(1),
            "freed": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        mesh, branches = self.mesh, self.branches
        place = (mesh.link_places - 1).bit_length()
        entry = data.StructLayout({"flit": phit_layout(mesh), "mask": branches})
        m.submodules.places = places = memory.Memory(shape=entry, depth=1 << place, init=[])
        write, read = places.write_port(), places.read_port(domain="comb")
        head, tail, start = Signal(place), Signal(place), Signal(place)
        front = read.data
        m.d.comb += [
            write.addr.eq(tail),
            write.data.flit.eq(self.i),
            write.data.mask.eq(self.mask),
            write.en.eq(self.push),
            read.addr.eq(head),
            self.o.eq(front.flit),
        ]
        with m.If(self.push):
            m.d.sync += tail.eq(following(tail))

        # `final` of a packet's later flits is kept from its first
        done, left, branch, kept = Signal(branches), Signal(branches), Signal(branches), Signal()
        valid, begun, final = Signal(), Signal(), Signal()
        m.d.comb += [
            begun.eq(self.busy.any()),
            left.eq(front.mask & ~done),
            branch.eq(lowest_bit(left)),
            self.want.eq((self.busy | branch & self.available) & valid.replicate(branches)),
            final.eq(Mux(begun, kept, left == branch)),
            self.drop.eq(valid & ~begun & ~front.mask.any()),
            self.active.eq(self.want.any() | self.drop),
        ]
        after = Signal(place)
        m.d.comb += after.eq(following(head))
        m.d.sync += [self.freed.eq(self.take & final), valid.eq(valid | self.push)]
        with m.If(self.take):
            m.d.sync += [
                head.eq(after),
                valid.eq((after != tail) | self.push),
                kept.eq(final),
                self.busy.eq(self.want),
            ]
            with m.If(front.flit.last):
                m.d.sync += self.busy.eq(0)
                with m.If(final):
                    m.d.sync += [start.eq(after), done.eq(0)]
                with m.Else():
                    m.d.sync += [head.eq(start), valid.eq(1), done.eq(done | self.want)]
        return m
