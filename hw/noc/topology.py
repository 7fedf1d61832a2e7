"""Where the routers are and which ports face each other. x grows to the east, y to the south."""

from collections.abc import Iterator
from enum import IntEnum

from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig


class Port(IntEnum):
    """The five ports of a router; LOCAL leads to its core."""

    NORTH = 0
    EAST = 1
    SOUTH = 2
    WEST = 3
    LOCAL = 4


HOST = -1
"""Stands for the host where a function takes the number of a core as a source."""

HOST_IN = Port.WEST
"""The port of router 0 where packets of the host enter: a step to the east, as x first asks for."""

HOST_OUT = Port.NORTH
"""The port of router 0 where packets to the host leave: after every step along y, so that none turns from y to x."""

STEP = {Port.NORTH: (0, -1), Port.EAST: (1, 0), Port.SOUTH: (0, 1), Port.WEST: (-1, 0)}


def opposite(port: Port) -> Port:
    """The port of the neighbour that faces ``port``. Raises TridentError for LOCAL, which faces a core."""
    if port == Port.LOCAL:
        raise TridentError("the port LOCAL has no opposite: it leads to the core")
    return Port((port + 2) % 4)


def check_core(mesh: MeshConfig, core: int) -> int:
    """``core`` itself. Raises TridentError for a number that is no core of the mesh."""
    if not 0 <= core < mesh.cores:
        raise TridentError(f"there is no core {core}: the {mesh.width} x {mesh.height} mesh has 0 to {mesh.cores - 1}")
    return core


def core_at(mesh: MeshConfig, x: int, y: int) -> int:
    """The core at column x and row y. Raises TridentError outside of the mesh."""
    if not (0 <= x < mesh.width and 0 <= y < mesh.height):
        raise TridentError(f"there is no core at ({x}, {y}): the mesh has {mesh.width} columns, {mesh.height} rows")
    return x + mesh.width * y


def neighbour(mesh: MeshConfig, core: int, port: Port) -> int | None:
    """The core behind a port of this core's router; None at the edge, and for LOCAL.

    Raises TridentError for a number that is no core of the mesh.
    """
    if port == Port.LOCAL:
        return None
    x, y = mesh.position(check_core(mesh, core))
    x, y = x + STEP[port][0], y + STEP[port][1]
    return x + mesh.width * y if 0 <= x < mesh.width and 0 <= y < mesh.height else None


def links(mesh: MeshConfig) -> Iterator[tuple[int, Port, int]]:
    """Every link between routers, once per direction: (core that sends, its port, core that receives)."""
    for core in range(mesh.cores):
        for port in STEP:
            if (other := neighbour(mesh, core, port)) is not None:
                yield core, port, other


def hops(mesh: MeshConfig, source: int, destination: int) -> int:
    """Routers that a packet from core to core, from the host or to the host passes (HOST stands for the host)."""
    (x, y), (to_x, to_y) = ((0, 0) if core == HOST else mesh.position(check_core(mesh, core))
                            for core in (source, destination))  # fmt: skip
    return abs(to_x - x) + abs(to_y - y) + 1
