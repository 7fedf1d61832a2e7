"""What a mesh of routers holds at a time, as arrays for compiled functions."""

from functools import cache
from typing import NamedTuple

import numpy as np

from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import Port, links, opposite

# Ports in the order in which a multicast's branches are served; the hardware's numbers give the first turns
EAST, WEST, NORTH, SOUTH, LOCAL = range(5)
PORTS = [Port.EAST, Port.WEST, Port.NORTH, Port.SOUTH, Port.LOCAL]
SHARED = 5  # what the inputs EAST, WEST and LOCAL have in common, as one that asks for an output
NEVER = np.int64(1 << 62)
NOTHING = -1


class Network(NamedTuple):
    """What a mesh of routers holds at a time. A queue is router x 5 + port of input, x channels + channel.

    sizes: width, routers, channels, flits of a queue, of the longest packet, and of a link's flit (phits); column, row:
    of ends, the host's as if it were in router 0; router_of: of inputs; behind: of outputs, router x 5 + port, the
    input that they lead to, or -1 - end; before: of queues, the room that whoever sends there counts, or -1 - that of
    an end;
    entry_packet, entry_here, entry_left: int64 (queues, places): packets in a queue, how many of their flits came, and
    the outputs that they have still to go to, as bits; head, count, sent, busy: of queues: their first packet, how many
    there are, how many flits of it were read, the output it has begun to use; used: (routers, 5) outputs in use; room:
    (routers, 5, channels) free places behind an output; source_room: (routers + 1, channels) those of the ends that
    send, the last of which is the host; turns, shared, picked: when whoever asks for outputs, the shared way, and an
    input had its last turn; held: flits in each router's queues.
    packets: (packets, 8) see the columns below; ``free``: those not in use, with their number in ``counts[FREE]``.
    first, last, gone: of the ends that send: their packets in a row, flits of the first that have left; taken: when
    the ends that receive take the next flit; due: (ends, room) when they give places back, as a ring with its
    beginning and length; ways: uint8 (trees, routers), the outputs of multicasts, as bits.
    on, then: (links, 2) what links carry in this cycle and the next one: queue or end it leads to, and packet.
    freed, freed_then: places given back a cycle ago, and now; arrived: (ends, 3), packets that came in this cycle:
    number, end, the cycle in which it takes the last flit; departed: those whose last flit left their source; seen:
    flits of the packet that comes to an end. asked: to
    work in. counts: lengths of these lists.
    """

    sizes: np.ndarray
    column: np.ndarray
    row: np.ndarray
    router_of: np.ndarray
    behind: np.ndarray
    before: np.ndarray
    entry_packet: np.ndarray
    entry_here: np.ndarray
    entry_left: np.ndarray
    head: np.ndarray
    count: np.ndarray
    sent: np.ndarray
    busy: np.ndarray
    used: np.ndarray
    room: np.ndarray
    source_room: np.ndarray
    turns: np.ndarray
    shared: np.ndarray
    picked: np.ndarray
    held: np.ndarray
    packets: np.ndarray
    free: np.ndarray
    first: np.ndarray
    last: np.ndarray
    gone: np.ndarray
    taken: np.ndarray
    due: np.ndarray
    due_first: np.ndarray
    due_count: np.ndarray
    ways: np.ndarray
    on: np.ndarray
    then: np.ndarray
    freed: np.ndarray
    freed_then: np.ndarray
    arrived: np.ndarray
    departed: np.ndarray
    seen: np.ndarray
    asked: np.ndarray
    counts: np.ndarray


WIDTH, ROUTERS, CHANNELS, PLACES, PACKET, PHITS = range(6)  # of sizes
LENGTH, CHANNEL, TREE, TARGET, DRAIN, TAG, MORE, OPEN = range(8)  # of a packet: phits; its channel; its multicast or
# NOTHING; else the end it goes to; cycles in which that takes a flit; a caller's number; the next one in a row; ends
FREE, ON, THEN, FREED, FREED_THEN, ARRIVED, DEPARTED, WAITING, HELD, WORK = range(10)
"""Of counts; WAITING: packets at sources; HELD: flits in queues; WORK: cycles of routers with flits."""


@cache
def _tables(mesh: MeshConfig) -> tuple[np.ndarray, ...]:
    """Columns and rows of ends, routers of inputs, and what is at both sides of links."""
    routers, channels = mesh.cores, mesh.channels
    ends = np.append(np.arange(routers), 0)
    behind, before = np.full(5 * routers, -1 - routers), np.full(5 * routers, -1 - routers)
    behind[LOCAL::5] = before[LOCAL::5] = -1 - np.arange(routers)
    for core, port, other in links(mesh):
        out, into = core * 5 + PORTS.index(port), other * 5 + PORTS.index(opposite(port))
        behind[out], before[into] = into, out
    rooms = np.where(before[:, None] < 0, (before[:, None] + 1) * channels - 1 - np.arange(channels),
                     before[:, None] * channels + np.arange(channels))  # fmt: skip
    return ends % mesh.width, ends // mesh.width, np.arange(5 * routers) // 5, behind, rooms.ravel()


def make_network(mesh: MeshConfig, packets: int, ways: np.ndarray | None = None) -> Network:
    """An idle mesh for so many packets at a time; ways: see :class:`Network`."""
    routers, channels, places = mesh.cores, mesh.channels, mesh.link_places
    queues, ends = routers * 5 * channels, routers + 1
    zeros = np.zeros
    sizes = np.array([mesh.width, routers, channels, places, mesh.link_packet, mesh.phits], np.int64)
    turns = np.full((routers, 5, 6), -1, np.int64)
    turns[:, :, :5] = np.array(PORTS) - 10
    shared = np.full((routers, 5), -1, np.int64)
    shared[:, [EAST, WEST, LOCAL]] = -4, -3, -2
    picked = np.broadcast_to(np.arange(channels) - channels, (routers, 5, channels)).astype(np.int64).copy()
    links = routers * 5 + ends
    counts = zeros(10, np.int64)
    counts[FREE] = packets
    return Network(
        sizes, *_tables(mesh), np.full((queues, places), NOTHING, np.int64), zeros((queues, places), np.int64),
        zeros((queues, places), np.int64), zeros(queues, np.int64), zeros(queues, np.int64), zeros(queues, np.int64),
        np.full(queues, NOTHING, np.int64), zeros((routers, 5), np.bool_),
        np.full((routers, 5, channels), places, np.int64), np.full((ends, channels), places, np.int64), turns, shared,
        picked, zeros(routers, np.int64), np.full((packets, 8), NOTHING, np.int64),
        np.arange(packets, dtype=np.int64), np.full(ends, NOTHING, np.int64), np.full(ends, NOTHING, np.int64),
        zeros(ends, np.int64), zeros(ends, np.int64), zeros((ends, places * channels, 2), np.int64),
        zeros(ends, np.int64), zeros(ends, np.int64),
        zeros((1, routers), np.uint8) if ways is None else ways, zeros((links, 2), np.int64),
        zeros((links, 2), np.int64), zeros(queues, np.int64), zeros(queues, np.int64), zeros((ends, 3), np.int64),
        zeros(ends, np.int64), zeros(ends, np.int64), zeros((2, 5), np.int64), counts,
    )  # fmt: skip
