"""What is proven of the network: each component holds a part, drives it with anything that is legal and asserts."""

from amaranth.hdl import Array, Assert, Assume, Cat, Const, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Mode
from trident.hw.noc.arbiter import Arbiter
from trident.hw.noc.ring import Room, ring
from trident.hw.noc.router import Router
from trident.hw.noc.routing import TURNS
from trident.hw.noc.topology import Port

MARK, PLACE = 9, 8  # bits of a flit: of the packet that is watched; first or second flit


class ArbiterProperties(wiring.Component):
    """One grant at most, only of a request, one if there is any; and nobody waits while another has two turns."""

    def __init__(self, size: int):
        self.size = size
        super().__init__({"requests": In(size), "taken": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.arbiter = arbiter = Arbiter(self.size)
        grant, before = arbiter.grant, arbiter.before
        m.d.comb += [
            arbiter.requests.eq(self.requests), arbiter.taken.eq(self.taken), Assume(~ResetSignal()),
            Assert((grant & ~self.requests) == 0), Assert((grant & (grant - 1)) == 0),
            Assert(self.requests.any() == grant.any()),
        ]  # fmt: skip

        def first(a: int, b: int):
            return before[a, b] if a < b else ~before[b, a]

        for a in range(self.size):
            for b in range(self.size):
                if a == b:
                    continue
                for c in set(range(self.size)) - {a, b}:  # an order: no circles
                    m.d.comb += Assert(~(first(a, b) & first(b, c) & first(c, a)))
                # b had a turn while a asked, and a has had none since: then a goes before b
                passed = Signal(name=f"passed_{a}_{b}")
                m.d.comb += [Assert(~passed | first(a, b)), Assert(~(passed & self.requests[a] & grant[b]))]
                with m.If(self.taken & grant[a]):
                    m.d.sync += passed.eq(0)
                with m.Elif(self.taken & grant[b] & self.requests[a]):
                    m.d.sync += passed.eq(1)
        return m


class RoomProperties(wiring.Component):
    """There is said to be room exactly when the longest packet finds a place."""

    def __init__(self, mesh: MeshConfig):
        self.mesh = mesh
        super().__init__({"spent": In(1), "freed": In(1)})

    def elaborate(self, platform):
        m = Module()
        mesh = self.mesh
        m.submodules.room = room = Room(mesh)
        full = Signal(range(mesh.buffers + 1))
        m.d.sync += full.eq(full + self.spent - self.freed)
        order = ring(len(room.sent))
        number = Array(Const(order.index(value), len(room.sent)) for value in range(len(order)))
        rest = mesh.buffers - mesh.packet
        apart = Signal(len(room.sent))
        m.d.comb += [
            room.spent.eq(self.spent), room.freed.eq(self.freed), Assume(~ResetSignal()),
            Assume(~self.spent | (full < mesh.buffers)), Assume(~self.freed | (full > 0)),
            Assert(full <= mesh.buffers), Assert(room.o == (mesh.buffers - full >= mesh.packet)),
            # What makes it inductive: the rings are apart by what may still be sent
            apart.eq(number[room.may_send] - number[room.sent]), Assert(apart == (rest - full)[: len(apart)]),
        ]  # fmt: skip
        return m


class RouterProperties(wiring.Component):
    """A router among senders and receivers that keep to the rules of links, and do anything else they can.

    One packet of any mode, length and input is watched: each of its flits comes out of each port that it should, once,
    in order, with nothing of another packet in between, and of no other port; its places are freed only then. Nothing
    comes out that does not fit behind the port, and no place is freed that was not taken. Only the bits of a flit that
    make a difference are free: its route, whether it is watched, and its place; all others pass the router as these do.
    """

    def __init__(self, mesh: MeshConfig):
        assert mesh.packet == 2 and mesh.channels == 1
        self.mesh = mesh
        super().__init__({
            "x": In(3), "y": In(3), "last_x": In(1), "last_y": In(1), "table": In(5),
            "valid": In(5), "last": In(5), "route": In(8).array(5), "mark": In(5), "credit": In(5),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        mesh = self.mesh
        m.submodules.router = router = Router(mesh)
        # Position and table stay; the table is written in the first cycle
        started, kept = Signal(), Signal(13)
        settings = Cat(self.x, self.y, self.last_x, self.last_y, self.table)
        m.d.sync += [started.eq(1), kept.eq(settings)]
        m.d.comb += [
            Assume(~ResetSignal()), Assume(~started | (kept == settings)), Assume(started | ~self.valid.any()),
            router.x.eq(self.x), router.y.eq(self.y), router.last_x.eq(self.last_x), router.last_y.eq(self.last_y),
            router.table_en.eq(~started), router.table_data.eq(self.table),
        ]  # fmt: skip
        expected = [Signal(5, name=f"expected_{port.name}") for port in Port]
        # The packet that is watched: the port it came by, the ports it should leave by, its length, 0 until its end
        watching = Signal()
        came = Signal(5)
        due = Signal(5)
        length = Signal(2)
        taken = [Signal(range(mesh.buffers + 1), name=f"taken_{port.name}") for port in Port]
        for port in Port:
            self._sender(m, port, router.i[port], taken[port], expected[port])
        for port in Port:
            with m.If(self.valid[port] & self.mark[port]):
                m.d.sync += came.eq(1 << port)
                with m.If(~watching):
                    m.d.sync += [watching.eq(1), due.eq(expected[port])]
                with m.If(self.last[port]):
                    m.d.sync += length.eq(Mux(watching, 2, 1))
        marked = [self.valid[port] & self.mark[port] for port in Port]
        for port in Port:  # one packet is watched: its first flit anywhere, its second after it
            m.d.comb += Assume(~marked[port] | Mux(watching, came[port] & (length == 0), 1))
            m.d.comb += [Assume(~(marked[port] & marked[other])) for other in Port if other < port]
        seen = [Signal(2, name=f"seen_{port.name}") for port in Port]
        for port in Port:
            self._receiver(m, port, router.o[port], watching, due, came, seen[port])
        for port in Port:  # all its places are free again: it has arrived everywhere
            arrived = Cat(~due[out] | (seen[out] == Mux(length == 2, 3, 1)) for out in Port).all()
            m.d.comb += Assert(~(came[port] & (length != 0) & (taken[port] == 0)) | arrived)
        return m

    def _sender(self, m: Module, port: Port, link, taken: Signal, expected: Signal):
        """Any packets of one or two flits that can come this way, when there are places; where they should go."""
        mesh, route = self.mesh, self.route[port]
        inside, marked = Signal(name=f"inside_{port.name}"), Signal(name=f"marked_{port.name}")
        mode, x, y = route[:2], route[2:5], route[5:8]
        valid, last = self.valid[port], self.last[port]
        with m.If(valid):
            m.d.sync += [inside.eq(~last), marked.eq(self.mark[port])]
        m.d.sync += taken.eq(taken + valid - link.credit)
        m.d.comb += [
            link.valid.eq(valid),
            link.flit.last.eq(last),
            link.flit.data.eq(Cat(route, inside, self.mark[port])),
            Assume(~valid | (taken < mesh.buffers)),
            Assume(~(valid & ~inside & ~last) | (taken == 0)),
            Assume(~(valid & inside) | last & (self.mark[port] == marked)),
            Assume(~(valid & ~inside) | self._legal(port, mode, x, y)),
            Assert(~link.credit | (taken > 0)),
        ]
        north, south, east, west = y < self.y, y > self.y, x > self.x, x < self.x
        along_y = {Port.NORTH: north, Port.SOUTH: south, Port.LOCAL: y == self.y}
        here = x == self.x
        outs = {
            Mode.UNICAST: {Port.EAST: east, Port.WEST: west, **{out: here & is_so for out, is_so in along_y.items()}},
            Mode.MULTICAST: {out: self.table[out] for out in Port},
            Mode.HOST: {Port.WEST: self.x != 0, Port.NORTH: self.x == 0} if port not in (Port.NORTH, Port.WEST) else {},
            Mode.BROADCAST: {
                Port.WEST: {Port.LOCAL: Const(1), Port.SOUTH: ~self.last_y, Port.EAST: ~self.last_x},
                Port.NORTH: {Port.LOCAL: Const(1), Port.SOUTH: ~self.last_y},
            }.get(port, {}),
        }  # fmt: skip
        for out in TURNS[port]:
            asked = Cat((mode == kind) & chosen.get(out, 0) for kind, chosen in outs.items())
            m.d.comb += expected[out].eq(asked.any())

    def _legal(self, port: Port, mode, x, y):
        """What routers before this one let through."""
        column = {Port.EAST: x <= self.x, Port.WEST: x >= self.x, Port.LOCAL: Const(1)}.get(port, x == self.x)
        row = {Port.NORTH: y >= self.y, Port.SOUTH: y <= self.y}.get(port, Const(1))
        host = self.x == 0 if port == Port.SOUTH else Const(1)
        group = (x == 0) & (y == 0)  # the only group
        return Array([column & row, group, host, Const(1)])[mode]

    def _receiver(self, m: Module, port: Port, link, watching: Signal, due: Signal, came: Signal, seen: Signal):
        """Counts places, frees them at will, and looks for the packet that is watched."""
        mesh = self.mesh
        held = Signal(range(mesh.buffers + 1), name=f"held_{port.name}")
        inside, of_it = Signal(name=f"in_{port.name}"), Signal(name=f"of_it_{port.name}")
        mark, place = link.flit.data[MARK], link.flit.data[PLACE]
        m.d.comb += [link.credit.eq(self.credit[port]), Assume(~self.credit[port] | (held > 0))]
        m.d.sync += held.eq(held + link.valid - self.credit[port])
        with m.If(link.valid):
            m.d.sync += [inside.eq(~link.flit.last), of_it.eq(mark)]
            m.d.comb += [
                Assert(held < mesh.buffers),
                Assert(inside | link.flit.last | (held == 0)),
                Assert(place == inside),
                Assert(~inside | link.flit.last & (of_it == mark)),
            ]
            with m.If(mark):
                m.d.comb += [Assert(watching & due[port] & ~came[port]), Assert(seen == inside)]
                m.d.sync += seen.eq(Mux(inside, 3, 1))
