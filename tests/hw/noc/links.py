"""Routers and meshes with a few wide ports, and traffic for them: what tests/cocotb/bench_links.py plays and checks."""

from dataclasses import asdict
from itertools import count
from random import Random

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.cocotb.simulate import run
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import ROUTE_LAYOUT, Mode, far_position
from trident.hw.noc.inject import channel_of
from trident.hw.noc.mesh import Mesh
from trident.hw.noc.router import Router
from trident.hw.noc.routing import multicast_table
from trident.hw.noc.topology import HOST, Port


class Links(wiring.Component):
    """Many links side by side in wide ports, which a simulator's interface reads and writes at once."""

    def __init__(self, mesh: MeshConfig, links: int, tables: int):
        self.mesh, self.links = mesh, links
        flits, channels = (mesh.flit + 1) * links, max((mesh.channels - 1).bit_length(), 1) * links
        super().__init__({
            "i_valid": In(links), "i_flit": In(flits), "i_channel": In(channels), "i_credit": In(links * mesh.channels),
            "o_valid": Out(links), "o_flit": Out(flits), "o_channel": Out(channels),
            "o_credit": Out(links * mesh.channels),
            "table_en": In(tables), "table_address": In(6), "table_data": In(len(Port)),
        })  # fmt: skip

    def join(self, m: Module, ins: list, outs: list):
        """Connect the links into and out of the device under test."""
        for n, (link, out) in enumerate(zip(ins, outs, strict=True)):
            m.d.comb += [
                link.valid.eq(self.i_valid[n]),
                link.flit.eq(self.i_flit.word_select(n, self.mesh.flit + 1)),
                link.channel.eq(self.i_channel.word_select(n, len(link.channel))),
                out.credit.eq(self.i_credit.word_select(n, self.mesh.channels)),
            ]
        m.d.comb += [
            self.o_valid.eq(Cat(out.valid for out in outs)),
            self.o_flit.eq(Cat(out.flit.as_value() for out in outs)),
            self.o_channel.eq(Cat(out.channel for out in outs)),
            self.o_credit.eq(Cat(link.credit for link in ins)),
        ]


class OneRouter(Links):
    """The router of a core of a mesh; link n is Port n."""

    def __init__(self, mesh: MeshConfig, core: int):
        self.core = core
        super().__init__(mesh, len(Port), 1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.router = router = Router(self.mesh)
        x, y = self.mesh.position(self.core)
        m.d.comb += [
            router.x.eq(x), router.y.eq(y),
            router.last_x.eq(x == self.mesh.width - 1), router.last_y.eq(y == self.mesh.height - 1),
            router.table_en.eq(self.table_en), router.table_address.eq(self.table_address),
            router.table_data.eq(self.table_data),
        ]  # fmt: skip
        self.join(m, list(router.i), list(router.o))
        return m


class WholeMesh(Links):
    """A mesh; link n leads to core n, the last one to the host."""

    def __init__(self, mesh: MeshConfig):
        super().__init__(mesh, mesh.cores + 1, mesh.cores)

    def elaborate(self, platform):
        m = Module()
        m.submodules.mesh = mesh = Mesh(self.mesh)
        cores = range(self.mesh.cores)
        for n in cores:
            m.d.comb += [
                getattr(mesh, f"table_en{n}").eq(self.table_en[n]),
                getattr(mesh, f"table_address{n}").eq(self.table_address),
                getattr(mesh, f"table_data{n}").eq(self.table_data),
            ]
        self.join(
            m, [*(getattr(mesh, f"i{n}") for n in cores), mesh.host_i],
            [*(getattr(mesh, f"o{n}") for n in cores), mesh.host_o],
        )  # fmt: skip
        return m


class Traffic:
    """Packets for a mesh, made in order: who sends what to whom, how long it is and not before which cycle."""

    def __init__(self, mesh: MeshConfig, seed: int):
        self.mesh, self.random = mesh, Random(seed)
        self.packets, self.tables, self.groups = [], [], []

    def group(self, source: int, destinations: list[int]) -> int:
        """A new multicast group, with its entries for the routers' tables."""
        number = len(self.groups)
        self.groups.append((source, destinations))
        for core, mask in multicast_table(self.mesh, source, destinations).items():
            self.tables.append((core, number, mask))
        return number

    def send(self, at: int, source: int, mode: Mode, to: list[int], length: int, route: tuple[int, int]):
        """A packet of ``length`` flits with the (x, y) of its route; ``to`` are the links that it must come out of."""
        place = {HOST: self.mesh.cores}
        self.packets.append({
            "at": at, "source": place.get(source, source), "to": [place.get(n, n) for n in to], "length": length,
            "route": ROUTE_LAYOUT.pack(mode=mode, x=route[0] % 8, y=route[1] % 8)[0] | far_position(self.mesh, *route),
            "channel": channel_of(self.mesh, *route),
        })  # fmt: skip

    def unicast(self, at: int, source: int, destination: int, length: int):
        """A packet from a core or HOST to a core or HOST."""
        mode, where = (Mode.HOST, source) if destination == HOST else (Mode.UNICAST, destination)
        self.send(at, source, mode, [destination], length, self.mesh.position(where))

    def multicast(self, at: int, number: int, length: int):
        """A packet to a group."""
        source, destinations = self.groups[number]
        self.send(at, source, Mode.MULTICAST, sorted(set(destinations)), length, (number % 8, number // 8))

    def broadcast(self, at: int, length: int):
        """A packet from the host to every core."""
        self.send(at, HOST, Mode.BROADCAST, list(range(self.mesh.cores)), length, (0, 0))

    def length(self) -> int:
        """A random length of a packet; a third are one flit long, a third as long as can be."""
        return self.random.choice([1, self.random.randint(1, self.mesh.packet), self.mesh.packet])

    def mixed(self, pattern: str, packets: int, load: float):
        """Random packets of every kind. ``load``: flits per core and cycle that are offered, roughly."""
        random, mesh = self.random, self.mesh
        ends = [*range(mesh.cores), HOST]
        for _ in range(min(6, mesh.groups) if mesh.cores > 2 else 0):
            source = random.choice(ends)
            others = [core for core in range(mesh.cores) if core != source]
            self.group(source, random.sample(others, random.randint(2, len(others))))
        clock = count() if pattern == "bursty" else None
        for n in range(packets):
            length = self.length()
            at = int(n * mesh.packet / 2 / load / len(ends))
            if clock is not None:  # a long pause after every 50 packets
                at = 400 * (next(clock) // 50)
            source = random.choice(ends)
            kind = random.random()
            if kind < 0.05:
                self.broadcast(at, length)
            elif kind < 0.2 and self.groups:
                self.multicast(at, random.randrange(len(self.groups)), length)
            else:
                destination = random.choice([end for end in ends if end != source])
                if pattern == "transpose" and source != HOST:
                    x, y = mesh.position(source)
                    destination = x * mesh.height + y
                elif pattern == "hotspot" and random.random() < 0.5:
                    destination = mesh.cores // 2
                if destination != source:
                    self.unicast(at, source, destination, length)

    def play(self, device: Links, gap: float, slow: float, seed: int, **more) -> dict:
        """Run it in simulation; see tests/cocotb/bench_links.py. Raises AssertionError for the first difference.

        gap: share of cycles in which a sender pauses, also within a packet; slow: in which a receiver frees nothing;
        more: latency, the cycles of each packet from the first flit in to the first flit out; max_wait, the most
        packets that come out between two of a link that has more of them.
        """
        case = {
            "mesh": asdict(self.mesh), "links": device.links, "packets": self.packets, "tables": self.tables,
            "gap": gap, "slow": slow, "seed": seed,
            **more,
        }  # fmt: skip
        return run(device, "tests.cocotb.bench_links", case)
