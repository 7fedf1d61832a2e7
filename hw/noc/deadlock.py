"""Whether packets can wait for each other in a circle, decided on the routing functions before any RTL is built.

The method is Dally and Seitz's: a graph of the links (per virtual channel) with an edge wherever a packet that holds a
place behind one link waits for a place behind another. Without a circle there is no deadlock. A multicast waits for
one branch at a time and holds only the places of its own input, so its edges are those of its branches.
"""

from collections.abc import Callable, Collection, Iterable

from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.packets import Mode
from trident.hw.noc.inject import channel_of
from trident.hw.noc.routing import multicast_table, ports, walk
from trident.hw.noc.topology import HOST, Port, neighbour

Node = tuple[str, int, Port | None, int]
Graph = dict[Node, set[Node]]


def dependencies(
    mesh: MeshConfig, groups: Iterable[tuple[int, Collection[int]]] = (), route: Callable = ports
) -> Graph:
    """Which link's packets wait for which: all pairs of cores, host to cores and back, broadcast, and ``groups``.

    groups: source and destinations of each multicast group, numbered in order; route: see
    :func:`ports`. A core's link to its router and back have one node for all channels, as its
    interface serves packets in their order.
    """
    groups = list(groups)
    if len(groups) > mesh.groups:
        raise TridentError(f"{len(groups)} multicast groups do not fit the routers' tables of {mesh.groups}")
    tables = {}
    for number, (source, destinations) in enumerate(groups):
        for core, mask in multicast_table(mesh, source, destinations).items():
            tables.setdefault(core, {})[number] = mask
    cores = range(mesh.cores)
    packets = [(source, Mode.UNICAST, *mesh.position(to)) for source in (*cores, HOST) for to in cores if to != source]
    packets += [(core, Mode.HOST, *mesh.position(core)) for core in cores]
    packets += [(HOST, Mode.BROADCAST, 0, 0)]
    packets += [(source, Mode.MULTICAST, n % 8, n // 8) for n, (source, _) in enumerate(groups)]
    graph: Graph = {}
    for source, mode, x, y in packets:
        channel = channel_of(mesh, x, y)
        for at, entered, port in walk(mesh, source, mode, x, y, tables, route):
            held = _into(mesh, at, entered, source, channel)
            graph.setdefault(held, set()).add(_out_of(mesh, at, port, mode, channel))
    return graph


def _into(mesh: MeshConfig, at: int, entered: Port, source: int, channel: int) -> Node:
    """The link by which a packet came into a router."""
    if entered == Port.LOCAL:
        return ("from", at, None, 0)
    other = neighbour(mesh, at, entered)
    return ("from", source, None, 0) if other is None else ("between", other, Port((entered + 2) % 4), channel)


def _out_of(mesh: MeshConfig, at: int, port: Port, mode: Mode, channel: int) -> Node:
    """The link by which it leaves."""
    if port == Port.LOCAL:
        return ("to", at, None, 0)
    return ("to", HOST, None, 0) if neighbour(mesh, at, port) is None else ("between", at, port, channel)


def _name(node: Node) -> str:
    kind, core, port, channel = node
    who = "the host" if core == HOST else f"core {core}"
    if kind == "between":
        return f"router {core} {port.name} channel {channel}"
    return f"link {kind} {who}"


def _circle(graph: Graph) -> list[Node] | None:
    """Nodes of a circle in the order in which they wait, or None."""
    closed = set()
    for root in graph:
        path, todo = [], [(root, iter(graph[root]))]
        on_path = {root}
        path.append(root)
        while todo and root not in closed:
            node, rest = todo[-1]
            for follower in rest:
                if follower in on_path:
                    return path[path.index(follower) :]
                if follower not in closed:
                    todo.append((follower, iter(graph.get(follower, ()))))
                    path.append(follower)
                    on_path.add(follower)
                    break
            else:
                closed.add(node)
                on_path.discard(node)
                path.pop()
                todo.pop()
    return None


def check(
    mesh: MeshConfig, groups: Iterable[tuple[int, Collection[int]]] = (), route: Callable = ports,
    answering: Iterable[Collection[int]] | None = None,
):  # fmt: skip
    """Raise :class:`TridentError`, which names the links, if packets can wait for each other in a circle.

    answering: sets of ends (cores, or HOST) that may at one time take a packet only after they have sent another. By
    default each core by itself: only READ is answered before the next packet is taken, and the host has one READ
    outstanding in the whole chip. Every other packet is taken without waiting: rows and spikes have places, which their
    senders have asked for.
    """
    graph = dependencies(mesh, groups, route)
    for ends in [[core] for core in range(mesh.cores)] if answering is None else answering:
        whole = graph | {("to", end, None, 0): {("from", end, None, 0)} for end in ends}
        if circle := _circle(whole):
            raise TridentError(
                "packets can wait for each other in a circle: " + " -> ".join(_name(n) for n in [*circle, circle[0]])
            )
