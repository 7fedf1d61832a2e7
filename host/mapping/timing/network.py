"""The mesh in time, flit by flit, as its RTL: queues, credits, arbiters, multicasts; compiled, cycle by cycle.

References to arrays are not counted (``_nrt``), which took five times as long as all that is done here.
"""

import numpy as np
from numba import njit

from trident.host.mapping.timing.routers import (
    ARRIVED,
    CHANNEL,
    CHANNELS,
    DEPARTED,
    DRAIN,
    EAST,
    FREE,
    FREED,
    FREED_THEN,
    HELD,
    LENGTH,
    LOCAL,
    MORE,
    NEVER,
    NORTH,
    NOTHING,
    ON,
    OPEN,
    PACKET,
    PHITS,
    PLACES,
    ROUTERS,
    SHARED,
    SOUTH,
    TAG,
    TARGET,
    THEN,
    TREE,
    WAITING,
    WEST,
    WIDTH,
    WORK,
    make_network,
)
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import HOST


@njit(cache=True, _nrt=False)
def send(net, source, target, tree, length, channel, drain, tag, ends):
    """Put a packet of so many phits behind those that wait at a source, to the end ``target`` or along the multicast
    ``tree`` to so many ``ends``. A number below 0: there are too many packets."""
    if net.counts[FREE] == 0:
        return NOTHING
    net.counts[FREE] -= 1
    packet = net.free[net.counts[FREE]]
    row = net.packets[packet]
    row[LENGTH], row[CHANNEL], row[TREE], row[TARGET] = length, channel, tree, target
    row[DRAIN], row[TAG], row[MORE], row[OPEN] = drain, tag, NOTHING, ends
    if net.first[source] == NOTHING:
        net.first[source] = packet
    else:
        net.packets[net.last[source], MORE] = packet
    net.last[source] = packet
    net.counts[WAITING] += 1
    return packet


@njit(cache=True, _nrt=False)
def release(net, packet):
    """Give a packet's number back once an end has taken it; all of its ends have to."""
    net.packets[packet, OPEN] -= 1
    if net.packets[packet, OPEN] == 0:
        net.free[net.counts[FREE]] = packet
        net.counts[FREE] += 1


@njit(cache=True, _nrt=False)
def _outputs(net, router, packet):
    """The outputs by which a packet leaves a router, as bits."""
    tree = net.packets[packet, TREE]
    if tree != NOTHING:
        return np.int64(net.ways[tree, router])
    target = net.packets[packet, TARGET]
    x, y, to_x, to_y = net.column[router], net.row[router], net.column[target], net.row[target]
    if x != to_x:
        return np.int64(1 << EAST if to_x > x else 1 << WEST)
    if y != to_y:
        return np.int64(1 << SOUTH if to_y > y else 1 << NORTH)
    return np.int64(1 << NORTH if target == net.sizes[ROUTERS] else 1 << LOCAL)


@njit(cache=True, _nrt=False)
def _take(net, now, router, port, channel, out):
    """A flit leaves the front of a queue by an output."""
    channels, places = net.sizes[CHANNELS], net.sizes[PLACES]
    queue = (router * 5 + port) * channels + channel
    head = net.head[queue]
    packet = net.entry_packet[queue, head]
    length = net.packets[packet, LENGTH]
    left = net.entry_left[queue, head]
    final = left == 1 << out
    net.sent[queue] += 1
    net.room[router, out, channel] -= 1
    place = net.counts[THEN]
    net.then[place, 0], net.then[place, 1] = router * 5 + out, packet
    net.counts[THEN] = place + 1
    if final:
        net.freed_then[net.counts[FREED_THEN]] = queue
        net.counts[FREED_THEN] += 1
        net.held[router] -= 1
        net.counts[HELD] -= 1
    if net.sent[queue] < length:
        net.busy[queue], net.used[router, out] = out, True
        return
    net.busy[queue], net.used[router, out], net.sent[queue] = NOTHING, False, 0
    if final:
        net.head[queue] = head + 1 if head + 1 < places else 0
        net.count[queue] -= 1
    else:
        net.entry_left[queue, head] = left & ~(1 << out)


@njit(cache=True, _nrt=False)
def _wanted(net, router, port, channel):
    """The output that the front of a queue goes to now, or below 0."""
    channels = net.sizes[CHANNELS]
    queue = (router * 5 + port) * channels + channel
    head = net.head[queue]
    if net.sent[queue] >= net.entry_here[queue, head]:
        return NOTHING
    if net.busy[queue] != NOTHING:
        return net.busy[queue]
    left, out = net.entry_left[queue, head], 0
    while not left >> out & 1:
        out += 1
    if net.used[router, out] or net.room[router, out, channel] < net.sizes[PACKET]:
        return NOTHING
    return out


@njit(cache=True, _nrt=False)
def _router(net, now, router):
    """One cycle of a router: who wants which output, who gets it, what leaves."""
    channels, wants, chosen = net.sizes[CHANNELS], net.asked[0], net.asked[1]
    asking, only = 0, 0
    for port in range(5):
        wants[port], chosen[port] = NOTHING, 0
        longest = NEVER
        for channel in range(channels):
            queue = (router * 5 + port) * channels + channel
            if net.count[queue] == 0:
                continue
            want = _wanted(net, router, port, channel)
            if want != NOTHING and net.picked[router, port, channel] < longest:
                longest = net.picked[router, port, channel]
                wants[port], chosen[port] = want, channel
        if wants[port] != NOTHING:
            asking, only = asking + 1, port
    if asking == 0:
        return
    if asking == 1:
        out = wants[only]
        if channels == 1 and out >= NORTH and only != NORTH and only != SOUTH:
            net.turns[router, out, SHARED] = net.shared[router, only] = now
        else:
            net.turns[router, out, only] = net.picked[router, only, chosen[only]] = now
        _take(net, now, router, only, chosen[only], out)
        return
    way = NOTHING  # the input that has the shared way, if there is one
    if channels == 1:
        longest = NEVER
        for port in (EAST, WEST, LOCAL):
            if wants[port] >= NORTH and net.shared[router, port] < longest:
                longest, way = net.shared[router, port], port
    for out in range(5):
        longest, winner = NEVER, NOTHING
        for port in range(5):
            if wants[port] != out or (channels == 1 and out >= NORTH and port not in (NORTH, SOUTH)):
                continue
            if net.turns[router, out, port] < longest:
                longest, winner = net.turns[router, out, port], port
        if way != NOTHING and wants[way] == out and net.turns[router, out, SHARED] < longest:
            net.turns[router, out, SHARED] = net.shared[router, way] = now
            _take(net, now, router, way, 0, out)
        elif winner != NOTHING:
            net.turns[router, out, winner] = net.picked[router, winner, chosen[winner]] = now
            _take(net, now, router, winner, chosen[winner], out)


@njit(cache=True, _nrt=False)
def _put(net, behind, packet):
    """A flit comes into the queue of an input, router x 5 + port."""
    channels, places = net.sizes[CHANNELS], net.sizes[PLACES]
    queue, router = behind * channels + net.packets[packet, CHANNEL], net.router_of[behind]
    net.held[router] += 1
    net.counts[HELD] += 1
    if net.count[queue]:
        place = net.head[queue] + net.count[queue] - 1
        place -= places if place >= places else 0
        if net.entry_here[queue, place] < net.packets[net.entry_packet[queue, place], LENGTH]:
            net.entry_here[queue, place] += 1
            return
    place = net.head[queue] + net.count[queue]
    place -= places if place >= places else 0
    net.count[queue] += 1
    net.entry_packet[queue, place], net.entry_here[queue, place] = packet, 1
    net.entry_left[queue, place] = _outputs(net, router, packet)


@njit(cache=True, _nrt=False)
def _came(net, now, end, link, packet):
    """A flit comes to an end, which takes it when it has taken the others; its place is free then."""
    channel, drain = net.packets[packet, CHANNEL], net.packets[packet, DRAIN]
    taken = max(now, net.taken[end])
    net.taken[end] = taken + drain
    if taken <= now:
        net.room[link // 5, link % 5, channel] += 1
    else:
        size = net.due.shape[1]
        place = (net.due_first[end] + net.due_count[end]) % size
        net.due[end, place, 0], net.due[end, place, 1] = taken, channel
        net.due_count[end] += 1
    net.seen[end] += 1
    if net.seen[end] == net.packets[packet, LENGTH]:
        net.seen[end] = 0
        row = net.arrived[net.counts[ARRIVED]]
        row[0], row[1], row[2] = packet, end, taken
        net.counts[ARRIVED] += 1


@njit(cache=True, _nrt=False)
def _give_back(net, now, end, link):
    """Places that an end has freed by now."""
    size = net.due.shape[1]
    while net.due_count[end] and net.due[end, net.due_first[end], 0] <= now:
        net.room[link // 5, link % 5, net.due[end, net.due_first[end], 1]] += 1
        net.due_first[end] = (net.due_first[end] + 1) % size
        net.due_count[end] -= 1


@njit(cache=True, _nrt=False)
def step(net, now):
    """One cycle. Whatever came to an end is in ``arrived``."""
    routers, counts = net.sizes[ROUTERS], net.counts
    counts[ARRIVED] = counts[DEPARTED] = counts[THEN] = counts[FREED_THEN] = 0
    # Places that routers freed a cycle ago: a source knows at once, a router in the next cycle
    rooms, source_rooms = net.room.reshape(-1), net.source_room.reshape(-1)
    for n in range(counts[FREED]):
        before = net.before[net.freed[n]]
        if before < 0:
            source_rooms[-1 - before] += 1
    # What sources put on their links is there in this cycle
    for source in range(routers + 1 if counts[WAITING] else 0):
        packet = net.first[source]
        if packet == NOTHING:
            continue
        length, channel = net.packets[packet, LENGTH], net.packets[packet, CHANNEL]
        least = length if length == net.sizes[PHITS] else net.sizes[PACKET]
        if net.gone[source] == 0 and net.source_room[source, channel] < least:
            continue
        net.source_room[source, channel] -= 1
        net.gone[source] += 1
        net.on[counts[ON], 0], net.on[counts[ON], 1] = -1 - source, packet
        counts[ON] += 1
        if net.gone[source] == length:
            net.gone[source] = 0
            net.first[source] = net.packets[packet, MORE]
            counts[WAITING] -= 1
            net.departed[counts[DEPARTED]] = packet
            counts[DEPARTED] += 1
    for router in range(routers):
        if net.held[router]:
            counts[WORK] += 1
            _router(net, now, router)
    for n in range(counts[ON]):
        link, packet = net.on[n, 0], net.on[n, 1]
        if link < 0:
            source = -1 - link
            _put(net, source * 5 + LOCAL if source < routers else WEST, packet)
            continue
        behind = net.behind[link]
        if behind >= 0:
            _put(net, behind, packet)
        else:
            _came(net, now, -1 - behind, link, packet)
    for n in range(counts[FREED]):
        before = net.before[net.freed[n]]
        if before >= 0:
            rooms[before] += 1
    for end in range(routers + 1):
        if net.due_count[end]:
            _give_back(net, now, end, end * 5 + LOCAL if end < routers else NORTH)
    for n in range(counts[THEN]):
        net.on[n, 0], net.on[n, 1] = net.then[n, 0], net.then[n, 1]
    for n in range(counts[FREED_THEN]):
        net.freed[n] = net.freed_then[n]
    counts[ON], counts[FREED] = counts[THEN], counts[FREED_THEN]


@njit(cache=True, _nrt=False)
def busy(net):
    """Something is under way: a flit waits, or is in a router, or a place that was freed is not known yet."""
    counts = net.counts
    return counts[WAITING] > 0 or counts[ON] > 0 or counts[FREED] > 0 or counts[HELD] > 0


@njit(cache=True, _nrt=False)
def _play(net, times, sources, targets, lengths, arrivals):
    number, now = 0, 0
    width, channels = net.sizes[WIDTH], net.sizes[CHANNELS]
    while number < len(times) or busy(net):
        if not busy(net):
            now = max(now, times[number])
        while number < len(times) and times[number] <= now:
            target = targets[number]
            channel = (target % width + target // width) % channels if target < net.sizes[ROUTERS] else 0
            send(net, sources[number], target, NOTHING, lengths[number], channel, 1, number, 1)
            number += 1
        step(net, now)
        for n in range(net.counts[ARRIVED]):
            packet = net.arrived[n, 0]
            arrivals[net.packets[packet, TAG]] = net.arrived[n, 2]
            release(net, packet)
        now += 1


def play(
    mesh: MeshConfig, times: np.ndarray, sources: np.ndarray, targets: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """The cycles in which packets have come, int64 (packets,), each made at its time, not before the packet ahead of
    it in these arrays, for the link of the core ``sources`` or HOST, to ``targets``, with so many phits."""
    ends = [np.where(np.asarray(of) == HOST, mesh.cores, of).astype(np.int64) for of in (sources, targets)]
    arrivals = np.full(len(times), -1, np.int64)
    net = make_network(mesh, max(len(times), 1))
    _play(net, np.asarray(times, np.int64), *ends, np.asarray(lengths, np.int64), arrivals)
    return arrivals
