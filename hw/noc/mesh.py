"""The mesh: a router per core, their links, and the host at router 0."""

from amaranth.hdl import Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.generate import emit_all, ports
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.flits import link_signature
from trident.hw.noc.router import Router, router_signature, table_ports
from trident.hw.noc.topology import HOST_IN, HOST_OUT, Port, neighbour, opposite


def mesh_signature(mesh: MeshConfig) -> wiring.Signature:
    """The ports of :class:`Mesh`."""
    link = link_signature(mesh)
    members = {"host_i": In(link), "host_o": Out(link)}
    for n in range(mesh.cores):
        members |= {f"i{n}": In(link), f"o{n}": Out(link)}
        members |= {f"{name}{n}": member for name, member in table_ports(mesh).items()}
    return wiring.Signature(members)


class Mesh(wiring.Component):
    """``width`` x ``height`` routers; latency 2 cycles per router from link to link.

    instances: refer to the module ``router``, which is emitted by itself; Amaranth's simulator cannot follow there.

    Members, n the number of a core
    -------
    i{n} : In, link from the core; o{n} : Out, link to the core
    table_en{n}, table_address{n}, table_data{n} : In, see :class:`Router`
    host_i : In, link from the host; host_o : Out, link to the host
    """

    def __init__(self, mesh: MeshConfig, instances: bool = False):
        self.mesh, self.instances = mesh, instances
        super().__init__(mesh_signature(mesh))

    def elaborate(self, platform):
        m = Module()
        mesh = self.mesh
        routers = []
        signature = router_signature(mesh)
        for n in range(mesh.cores):
            x, y = mesh.position(n)
            if self.instances:
                router = signature.create(path=(f"router{n}",))
                m.submodules[f"router{n}"] = Instance("router", **ports(router))
            else:
                m.submodules[f"router{n}"] = router = Router(mesh)
            m.d.comb += [
                router.x.eq(x),
                router.y.eq(y),
                router.last_x.eq(x == mesh.width - 1),
                router.last_y.eq(y == mesh.height - 1),
                *(getattr(router, name).eq(getattr(self, f"{name}{n}")) for name in table_ports(mesh)),
            ]
            routers.append(router)

        for n, router in enumerate(routers):
            for port in Port:
                if port == Port.LOCAL:
                    source = getattr(self, f"i{n}")
                    wiring.connect(m, router.o[port], wiring.flipped(getattr(self, f"o{n}")))
                elif (other := neighbour(mesh, n, port)) is not None:
                    source = routers[other].o[opposite(port)]
                    wiring.connect(m, source, router.i[port])
                    continue
                elif n == 0 and port == HOST_IN:
                    source = self.host_i
                else:
                    continue
                wiring.connect(m, wiring.flipped(source), router.i[port])
        wiring.connect(m, routers[0].o[HOST_OUT], wiring.flipped(self.host_o))
        return m


# One copy of the code for all routers: Verilator builds in a third of the time and simulates a quarter faster
KEPT = ("router",)


def mesh_modules(mesh: MeshConfig) -> dict:
    """What :func:`emit_mesh` emits, by name of module."""
    return {"router": Router(mesh), "mesh": Mesh(mesh, instances=True)}


def emit_mesh(mesh: MeshConfig) -> str:
    """The Verilog of a module ``mesh``, as :class:`Mesh`, and of the modules of one ``router``."""
    return emit_all(mesh_modules(mesh), KEPT)
