"""A chip: cores on a mesh, and the host's end of it."""


from amaranth.hdl import Instance, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.compact.firmware import image
from trident.hw.compact.processor import BITS as PHIT
from trident.hw.core.core import core_signature
from trident.hw.cores import make_core
from trident.hw.errors import TridentError
from trident.hw.generate import emit_all, ports
from trident.hw.isa.capabilities import Capability, require
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.operations import QUEUES
from trident.hw.isa.spaces import PORTS, space_bits
from trident.hw.noc.flits import flit_layout, link_signature
from trident.hw.noc.host_tile import HostTile
from trident.hw.noc.mesh import KEPT, Mesh, mesh_modules, mesh_signature


def check_pair(cfg: CoreConfig, mesh: MeshConfig):
    """Raise :class:`TridentError` unless the longest packet holds an element of each of the core's memories, a
    controller has what it needs, and pooled spikes meet one core."""
    if mesh.cores > 1 and cfg.pool > 1:
        raise TridentError(
            f"pooled spikes stay on one core: the mesh of {mesh.width}x{mesh.height} has {mesh.cores}"
        )
    if mesh.cores > 1:
        require(cfg.capabilities, f"a mesh of {mesh.width}x{mesh.height}", (Capability.NEIGHBOURS,))
    flits = cfg.row_bits % mesh.flit == 0 or mesh.flit % cfg.row_bits == 0
    if mesh.cores > 1 and cfg.exact and not flits:
        raise TridentError(
            f"exact sums travel in whole flits: rows of {cfg.lanes} lanes of {cfg.width} bits do not go into flits of "
            f"{mesh.flit} bits without a rest; with gradient_bits of 16 they need not"
        )
    if cfg.shared_engine:
        if (mesh.flit, mesh.link_bits, cfg.width) != (32, PHIT, PHIT):
            raise TridentError(
                f"with shared_engine, flit must be 32, phit and the bits of a float {PHIT}, not {mesh.flit}, "
                f"{mesh.phit} and {cfg.width}"
            )
        image(cfg, mesh)
    for space, bits in space_bits(cfg).items():
        needed = -(-bits // mesh.flit) + 1
        if needed > mesh.packet:
            raise TridentError(
                f"an element of {space.name.lower()} has {bits} bits: a packet needs {needed} flits of {mesh.flit} "
                f"bits, packet is {mesh.packet}"
            )


def fabric_signature(mesh: MeshConfig) -> wiring.Signature:
    """The ports of :class:`Fabric`."""
    flits = stream.Signature(flit_layout(mesh))
    members = {"i": In(flits), "o": Out(flits)}
    for n in range(mesh.cores):
        members |= {
            f"to{n}": Out(link_signature(mesh)),
            f"from{n}": In(link_signature(mesh)),
            f"table{n}_en": In(1),
            f"table{n}_address": In(range(max(mesh.groups, 2))),
            f"table{n}_data": In(PORTS),
        }
    return wiring.Signature(members)


def chip_signature(mesh: MeshConfig) -> wiring.Signature:
    """The ports of :class:`Chip`."""
    flits = stream.Signature(flit_layout(mesh))
    return wiring.Signature({"i": In(flits), "o": Out(flits), "active": Out(len(QUEUES) * mesh.cores)})


class Fabric(wiring.Component):
    """All of a chip but its cores: host tile and mesh. A single core is connected without a router.

    Members
    -------
    i, o : streams of flits, the host's
    to0, from0, ... : links to and from each core
    table0_en, table0_address, table0_data, ... : In, write port of the multicast table of each core's router
    """

    def __init__(self, mesh: MeshConfig, instances: bool = False):
        """``instances``: refer to the mesh's module, which is emitted by itself."""
        self.mesh, self.instances = mesh, instances
        super().__init__(fabric_signature(mesh))

    def elaborate(self, platform):
        m = Module()
        mesh = self.mesh
        m.submodules.host_tile = tile = HostTile(mesh)
        wiring.connect(m, wiring.flipped(self.i), tile.i)
        wiring.connect(m, tile.o, wiring.flipped(self.o))
        if mesh.cores == 1:
            wiring.connect(m, tile.up, wiring.flipped(self.to0))
            wiring.connect(m, wiring.flipped(self.from0), tile.down)
            return m
        if self.instances:
            routers = mesh_signature(mesh).create(path=("routers",))
            m.submodules.mesh = Instance("mesh", **ports(routers))
        else:
            m.submodules.mesh = routers = Mesh(mesh)
        wiring.connect(m, tile.up, routers.host_i)
        wiring.connect(m, routers.host_o, tile.down)
        for n in range(mesh.cores):
            wiring.connect(m, wiring.flipped(getattr(self, f"from{n}")), getattr(routers, f"i{n}"))
            wiring.connect(m, getattr(routers, f"o{n}"), wiring.flipped(getattr(self, f"to{n}")))
            for part in ("en", "address", "data"):
                m.d.comb += getattr(routers, f"table_{part}{n}").eq(getattr(self, f"table{n}_{part}"))
        return m


class Chip(wiring.Component):
    """Cores on a mesh behind one stream of packets.

    Members
    -------
    i, o : streams of flits, whole packets from and to the host, see docs/protocol.md
    active : Out, what each core's queues do, core 0 lowest
    """

    def __init__(self, cfg: CoreConfig, mesh: MeshConfig, instances: bool = False):
        """``instances``: refer to the modules of core and mesh, which are emitted by themselves (:func:`emit_chip`)."""
        mesh.check_built()
        check_pair(cfg, mesh)
        self.cfg, self.mesh, self.instances = cfg, mesh, instances
        super().__init__(chip_signature(mesh))

    def elaborate(self, platform):
        m = Module()
        mesh = self.mesh
        m.submodules.fabric = fabric = Fabric(mesh, self.instances)
        wiring.connect(m, wiring.flipped(self.i), fabric.i)
        wiring.connect(m, fabric.o, wiring.flipped(self.o))
        for n in range(mesh.cores):
            if self.instances:
                core = core_signature(mesh).create(path=(f"core{n}",))
                m.submodules[f"core{n}"] = Instance("core", **ports(core))
            else:
                m.submodules[f"core{n}"] = core = make_core(self.cfg, mesh)
            wiring.connect(m, getattr(fabric, f"to{n}"), core.i)
            wiring.connect(m, core.o, getattr(fabric, f"from{n}"))
            x, y = mesh.position(n)
            m.d.comb += [core.x.eq(x), core.y.eq(y), self.active.word_select(n, len(QUEUES)).eq(core.active)]
            for part in ("en", "address", "data"):
                m.d.comb += getattr(fabric, f"table{n}_{part}").eq(getattr(core, f"table_{part}"))
        return m


def emit_fabric(mesh: MeshConfig) -> str:
    """Verilog of a :class:`Fabric`, top module ``fabric``."""
    return _emit_on(mesh, {}, {"fabric": Fabric(mesh, instances=True)})


def emit_chip(cfg: CoreConfig, mesh: MeshConfig, core: str | None = None, top: str = "chip") -> str:
    """Verilog of a :class:`Chip`, top module ``top``; core and router are written once, however many
    there are.

    ``core``: the Verilog of the core, if it is known already.
    """
    mesh.check_built()
    check_pair(cfg, mesh)
    known, below = ([core], {}) if core else ([], {"core": make_core(cfg, mesh)})
    return "\n".join([*known, _emit_on(mesh, below, {top: Chip(cfg, mesh, instances=True)})])


def _emit_on(mesh: MeshConfig, below: dict, above: dict) -> str:
    """The Verilog of components below and above the mesh, and of the mesh, if there is more than one core."""
    if mesh.cores == 1:
        return emit_all(below | above)
    return emit_all(below | mesh_modules(mesh) | above, KEPT)
