"""A router: five inputs, five outputs, two cycles."""

from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import ROUTE_LAYOUT, Mode, position
from trident.hw.lib.onehot import bit_number
from trident.hw.noc.arbiter import Arbiter
from trident.hw.noc.flits import link_signature
from trident.hw.noc.queue import Queue
from trident.hw.noc.ring import Room
from trident.hw.noc.routing import TURNS
from trident.hw.noc.topology import Port, opposite

_FROM_X = (Port.EAST, Port.WEST, Port.LOCAL)  # inputs
_INTO_Y = (Port.NORTH, Port.SOUTH, Port.LOCAL)  # outputs


def table_ports(mesh: MeshConfig) -> dict:
    """The write port of a router's multicast table."""
    return {"table_en": In(1), "table_address": In(max((mesh.groups - 1).bit_length(), 1)), "table_data": In(len(Port))}


def router_signature(mesh: MeshConfig) -> wiring.Signature:
    """The ports of :class:`Router`."""
    return wiring.Signature({
        "i": In(link_signature(mesh)).array(len(Port)),
        "o": Out(link_signature(mesh)).array(len(Port)),
        "x": In(mesh.position_bits),
        "y": In(mesh.position_bits),
        "last_x": In(1),
        "last_y": In(1),
        **table_ports(mesh),
    })  # fmt: skip


@dataclass
class _Offer:
    """What an input, or the way that several share, would send: to which outputs, what, and whether it may."""

    want: dict[Port, Value]
    flit: Value
    channel: Value
    granted: Signal
    wins: list[Value] = field(default_factory=list)


def _bits(chosen: dict[Port, Value], turns: tuple[Port, ...]) -> Value:
    return Cat(chosen.get(turn, Const(0, 1)) for turn in turns)


def _select(grant: Value, values: list[Value]) -> Value:
    """The value whose bit of ``grant`` is set; 0 without one."""
    return reduce(or_, (value & grant[n].replicate(len(value)) for n, value in enumerate(values)))


class Router(wiring.Component):
    """Pass packets on as :func:`ports` says; virtual cut-through, credits, fair arbitration.

    Latency 2 cycles from link to link: into the queue, out of the queue. One flit per cycle and output; with one
    channel the inputs EAST, WEST and LOCAL share one way to the outputs NORTH, SOUTH and LOCAL.

    Members
    -------
    i, o : links, by Port
    x, y : In, position; last_x, last_y : In(1), the last column, the last row
    table_en, table_address, table_data : In, writes the ports of a multicast group, bit n for Port n
    """

    def __init__(self, mesh: MeshConfig):
        self.mesh = mesh
        super().__init__(router_signature(mesh))

    def elaborate(self, platform):
        m = Module()
        rooms = self._rooms(m)
        queues = {port: self._queues(m, port) for port in Port}
        self._availability(m, queues, rooms)
        offers = {port: self._offer(m, port, queues[port]) for port in Port}
        self._switch(m, offers, rooms)
        return m

    def _rooms(self, m: Module) -> dict[Port, list[Room]]:
        """Per output and channel whether a packet finds a place behind it."""
        rooms = {}
        for port in Port:
            rooms[port] = [Room(self.mesh) for _ in range(self.mesh.channels)]
            for channel, room in enumerate(rooms[port]):
                m.submodules[f"room_{port.name.lower()}{channel}"] = room
                m.d.comb += room.freed.eq(self.o[port].credit[channel])
        return rooms

    def _queues(self, m: Module, port: Port) -> list[Queue]:
        """The queues of an input, filled from its link."""
        link, mesh = self.i[port], self.mesh
        mask = self._route(m, port)
        queues = []
        for channel in range(mesh.channels):
            queue = Queue(mesh, len(TURNS[port]))
            m.submodules[f"queue_{port.name.lower()}{channel}"] = queue
            push = link.valid & (link.channel == channel) if mesh.channels > 1 else link.valid
            m.d.comb += [
                queue.i.eq(link.flit),
                queue.mask.eq(mask),
                queue.push.eq(push),
                link.credit[channel].eq(queue.freed),
            ]
            queues.append(queue)
        return queues

    def _route(self, m: Module, port: Port) -> Signal:
        """The outputs, as bits in the order of TURNS, of the packet whose first flit is on the link; else 0."""
        turns, link, mesh = TURNS[port], self.i[port], self.mesh
        head = ROUTE_LAYOUT.shape()(Cat(link.flit.data, Const(0, 32))[:32])
        x, y = position(mesh, link.flit.data) if mesh.far_bits else (head.x, head.y)
        table = memory.Memory(shape=len(turns), depth=1 << len(self.table_address), init=[])
        m.submodules[f"table_{port.name.lower()}"] = table
        write, read = table.write_port(), table.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(self.table_address),
            write.data.eq(Cat(self.table_data[turn] for turn in turns)),
            write.en.eq(self.table_en),
            read.addr.eq(Cat(head.x, head.y)),
        ]
        here_x, here_y, less_x, less_y = x == self.x, y == self.y, x < self.x, y < self.y
        if port in (Port.NORTH, Port.SOUTH):  # the column is right already
            unicast = {opposite(port): ~here_y, Port.LOCAL: here_y}
        else:
            unicast = {
                Port.NORTH: here_x & less_y,
                Port.SOUTH: here_x & ~less_y & ~here_y,
                Port.LOCAL: here_x & here_y,
                Port.EAST: ~here_x & ~less_x if port == Port.LOCAL else ~here_x,
                Port.WEST: less_x if port == Port.LOCAL else ~here_x,
            }
        host = {
            Port.SOUTH: {Port.NORTH: Const(1)},
            Port.EAST: {Port.WEST: self.x.any(), Port.NORTH: ~self.x.any()},
            Port.LOCAL: {Port.WEST: self.x.any(), Port.NORTH: ~self.x.any()},
        }.get(port, {})
        broadcast = {
            Port.WEST: {Port.EAST: ~self.last_x, Port.SOUTH: ~self.last_y, Port.LOCAL: Const(1)},
            Port.NORTH: {Port.SOUTH: ~self.last_y, Port.LOCAL: Const(1)},
        }.get(port, {})

        mask, inside = Signal(len(turns), name=f"mask_{port.name.lower()}"), Signal(name=f"inside_{port.name.lower()}")
        with m.If(link.valid):
            m.d.sync += inside.eq(~link.flit.last)
        with m.If(~inside):
            with m.Switch(head.mode):
                with m.Case(Mode.UNICAST):
                    m.d.comb += mask.eq(_bits(unicast, turns))
                with m.Case(Mode.MULTICAST):
                    m.d.comb += mask.eq(read.data)
                with m.Case(Mode.HOST):
                    m.d.comb += mask.eq(_bits(host, turns))
                with m.Case(Mode.BROADCAST):
                    m.d.comb += mask.eq(_bits(broadcast, turns))
        return mask

    def _availability(self, m: Module, queues: dict[Port, list[Queue]], rooms: dict[Port, list[Room]]):
        """Tell the queues which outputs a packet could begin to use: those with room that no packet uses."""
        available = {}
        for out in Port:
            used = Cat(
                queue.busy[TURNS[port].index(out)] for port in Port if out in TURNS[port] for queue in queues[port]
            )
            free = Signal(name=f"free_{out.name.lower()}")
            m.d.comb += free.eq(~used.any())
            available[out] = [free & room.o for room in rooms[out]]
        for port in Port:
            for channel, queue in enumerate(queues[port]):
                m.d.comb += queue.available.eq(Cat(available[out][channel] for out in TURNS[port]))

    def _offer(self, m: Module, port: Port, queues: list[Queue]) -> _Offer:
        """What an input offers: the flit in front of its only queue, or of one of its queues that can be served."""
        granted = Signal(name=f"granted_{port.name.lower()}")
        if len(queues) == 1:
            queue = queues[0]
            m.d.comb += queue.take.eq(granted | queue.drop)
            return _Offer(dict(zip(TURNS[port], queue.want)), queue.o.as_value(), Const(0), granted)
        m.submodules[f"channels_{port.name.lower()}"] = arbiter = Arbiter(len(queues))
        m.d.comb += arbiter.requests.eq(Cat(queue.active for queue in queues))
        chosen = arbiter.grant
        want = _select(chosen, [queue.want for queue in queues])
        taken = granted | (Cat(queue.drop for queue in queues) & chosen).any()
        m.d.comb += [arbiter.taken.eq(taken), *(queue.take.eq(taken & chosen[n]) for n, queue in enumerate(queues))]
        flit = _select(chosen, [queue.o.as_value() for queue in queues])
        return _Offer(dict(zip(TURNS[port], want)), flit, bit_number(chosen), granted)

    def _switch(self, m: Module, offers: dict[Port, _Offer], rooms: dict[Port, list[Room]]):
        """Let each output take one offer. A packet keeps its output to the end, as no other offer wants it then."""
        everyone = list(offers.values())
        if self.mesh.channels == 1:
            shared = self._share(m, [offers[port] for port in _FROM_X])
            everyone.append(shared)
        for out in Port:
            asking = [offer for port, offer in offers.items() if out in TURNS[port]]
            if self.mesh.channels == 1 and out in _INTO_Y:
                asking = [offers[port] for port in (Port.NORTH, Port.SOUTH) if out in TURNS[port]] + [shared]
            name = out.name.lower()
            m.submodules[f"arbiter_{name}"] = arbiter = Arbiter(len(asking))
            link, sent = self.o[out], Signal(name=f"sent_{name}")
            channel = _select(arbiter.grant, [offer.channel for offer in asking])
            m.d.comb += [
                arbiter.requests.eq(Cat(offer.want[out] for offer in asking)),
                arbiter.taken.eq(1),
                sent.eq(arbiter.requests.any()),
            ]
            m.d.sync += [
                link.valid.eq(sent),
                link.flit.eq(_select(arbiter.grant, [offer.flit for offer in asking])),
                link.channel.eq(channel),
            ]
            for offer, grant in zip(asking, arbiter.grant):
                offer.wins.append(grant)
            for n, room in enumerate(rooms[out]):
                m.d.comb += room.spent.eq(sent & (channel == n) if self.mesh.channels > 1 else sent)
        for offer in everyone:
            m.d.comb += offer.granted.eq(Cat(offer.wins).any())

    def _share(self, m: Module, offers: list[_Offer]) -> _Offer:
        """The one way that the inputs EAST, WEST and LOCAL have to the outputs NORTH, SOUTH and LOCAL.

        It spares a third of the multiplexers. It is given flit by flit, so a packet that is on it keeps no other out.
        """
        m.submodules.shared = arbiter = Arbiter(len(offers))
        m.d.comb += arbiter.requests.eq(
            Cat(Cat(offer.want[out] for out in _INTO_Y if out in offer.want).any() for offer in offers)
        )
        granted = Signal(name="granted_shared")
        m.d.comb += arbiter.taken.eq(granted)
        want = {
            out: Cat(offer.want[out] & grant for offer, grant in zip(offers, arbiter.grant) if out in offer.want).any()
            for out in _INTO_Y
        }
        flit = Signal(len(offers[0].flit), name="flit_shared")
        m.d.comb += flit.eq(_select(arbiter.grant, [offer.flit for offer in offers]))
        for offer, grant in zip(offers, arbiter.grant):
            offer.wins.append(grant & granted)
        return _Offer(want, flit, Const(0), granted)
