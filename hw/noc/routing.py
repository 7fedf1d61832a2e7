"""Routing as pure functions: which way a packet goes, before any hardware is built.

Every path goes along x first, then along y, then out: into the core, or, for the host, north out of router (0, 0).
"""

from collections.abc import Callable, Iterable, Mapping

from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Mode
from trident.hw.noc.topology import HOST, HOST_IN, HOST_OUT, Port, check_core, neighbour, opposite

TURNS = {
    Port.NORTH: (Port.SOUTH, Port.LOCAL),
    Port.EAST: (Port.WEST, Port.NORTH, Port.SOUTH, Port.LOCAL),
    Port.SOUTH: (Port.NORTH, Port.LOCAL),
    Port.WEST: (Port.EAST, Port.NORTH, Port.SOUTH, Port.LOCAL),
    Port.LOCAL: (Port.EAST, Port.WEST, Port.NORTH, Port.SOUTH),
}
"""The ports by which a packet may leave, by the port it came in by: never back, never from y to x.

The branches of a multicast are served in this order: far ones first."""


def toward(mesh: MeshConfig, at: int, x: int, y: int) -> Port:
    """The port by which a packet for the core at (x, y) leaves the router of core ``at``."""
    here_x, here_y = mesh.position(at)
    if x != here_x:
        return Port.EAST if x > here_x else Port.WEST
    if y != here_y:
        return Port.SOUTH if y > here_y else Port.NORTH
    return Port.LOCAL


def ports(mesh: MeshConfig, at: int, entered: Port, mode: Mode, x: int, y: int, table: Mapping[int, int]) -> set[Port]:
    """The ports by which a packet leaves the router of core ``at``; an empty set drops it.

    entered: the port by which it came in; mode, x, y: the route of its header; table: the router's mask of ports per
    multicast group, bit n for Port n. The hardware does the same.
    """
    if mode == Mode.UNICAST:
        chosen = {toward(mesh, at, x, y)}
    elif mode == Mode.MULTICAST:
        mask = table.get(x + 8 * y, 0)
        chosen = {port for port in Port if mask >> port & 1}
    elif mode == Mode.HOST:
        chosen = {Port.WEST if mesh.position(at)[0] else Port.NORTH}
    else:
        here_x, here_y = mesh.position(at)
        chosen = {Port.LOCAL} if entered in (Port.WEST, Port.NORTH) else set()
        if chosen and here_y < mesh.height - 1:
            chosen.add(Port.SOUTH)
        if entered == Port.WEST and here_x < mesh.width - 1:
            chosen.add(Port.EAST)
    return chosen & set(TURNS[entered])


def path(mesh: MeshConfig, source: int, destination: int) -> list[tuple[int, Port]]:
    """The steps of a packet from core to core, from the host or to the host: (core of the router, port it leaves by).

    Raises TridentError for a number that is no core, and for a packet from a core to itself or from host to host.
    """
    if source == destination:
        raise TridentError(f"{'the host' if source == HOST else f'core {source}'} cannot send to itself")
    at = 0 if source == HOST else check_core(mesh, source)
    x, y = (0, 0) if destination == HOST else mesh.position(check_core(mesh, destination))
    steps = []
    while (port := toward(mesh, at, x, y)) != Port.LOCAL:
        steps.append((at, port))
        at = neighbour(mesh, at, port)
    return [*steps, (at, HOST_OUT if destination == HOST else Port.LOCAL)]


def multicast_table(mesh: MeshConfig, source: int, destinations: Iterable[int]) -> dict[int, int]:
    """Per core on the way the mask of ports of its router for a group: bit n for Port n.

    The group's tree is the union of the paths from ``source``, a core or HOST, to every destination; a router has at
    most one way in. Raises TridentError for no destination, a number that is no core, and a source among them.
    """
    table = {}
    for destination in destinations:
        check_core(mesh, destination)
        for at, port in path(mesh, source, destination):
            table[at] = table.get(at, 0) | 1 << port
    if not table:
        raise TridentError("a multicast group needs at least one destination")
    return table


def walk(
    mesh: MeshConfig, source: int, mode: Mode, x: int, y: int, tables: Mapping[int, Mapping[int, int]],
    route: Callable = ports,
) -> list[tuple[int, Port, Port]]:  # fmt: skip
    """Every step of a packet: (core of the router, port it came in by, port it leaves by).

    tables: per core the masks per group; route: the function that decides, :func:`ports` or one like it. Raises
    TridentError where a packet leaves the mesh anywhere but to the host, or comes to a router twice.
    """
    waiting = [(0, HOST_IN) if source == HOST else (check_core(mesh, source), Port.LOCAL)]
    steps = []
    while waiting:
        at, entered = waiting.pop()
        for port in sorted(route(mesh, at, entered, mode, x, y, tables.get(at, {}))):
            if (at, entered, port) in steps:
                raise TridentError(f"a packet of mode {mode.name} comes to router {at} twice")
            steps.append((at, entered, port))
            other = neighbour(mesh, at, port)
            if other is not None:
                waiting.append((other, opposite(port)))
            elif port != Port.LOCAL and not (at == 0 and port == HOST_OUT and mode == Mode.HOST):
                raise TridentError(f"a packet of mode {mode.name} leaves the mesh at the port {port.name} of core {at}")
    return steps
