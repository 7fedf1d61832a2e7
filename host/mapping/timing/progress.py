"""What units of work and the packets between them do in time, event by event and cycle by cycle, compiled."""

import numpy as np
from numba import njit

from trident.host.mapping.timing.arrays import (
    A_TIME,
    B_BEGUN,
    B_DONE,
    CORE,
    DRAIN,
    E_SLOTS,
    ERRORS_IN,
    F_BEGUN,
    F_DONE,
    F_TIME,
    FLITS,
    G_BEGUN,
    G_DONE,
    G_TIME,
    KIND,
    L_DONE,
    L_TIME,
    LAST_TIME,
    LATE,
    LOSS_TIME,
    PACE,
    PACKETS,
    R_BEGUN,
    R_DONE,
    SAMPLES,
    SLOTS,
    SOURCE,
    SPIKES_IN,
    START,
    TURN,
)
from trident.host.mapping.timing.heap import at, drop
from trident.host.mapping.timing.network import busy, release, send, step
from trident.host.mapping.timing.routers import ARRIVED, DEPARTED, NOTHING, TAG
from trident.host.mapping.timing.workload import AHEAD, ERRORS, GRADIENTS, PARTIALS, RESULTS, SPIKES
from trident.hw.noc.rows import CREDITS

WINDOW = 2  # packets of a stream that wait for their turn at a core's link
LATENCY = 6  # cycles that a packet takes in the two cores, beside those of its flits and of the mesh

FORWARD, LOCAL, BACKWARD, WEIGHT_GRAD, LOSS, EMIT, DATA, CREDIT, TOKEN = range(9)  # what happens at a time
TAGS = 3  # kinds of packets: those above from DATA on


@njit(cache=True, _nrt=False)
def _push(work, state, net, places, heap, now, stream):
    """Send what a stream may send now, and ask for the time at which it may go on."""
    own = work.stream[stream]
    kind, source, packets, flits = own[KIND], own[SOURCE], own[PACKETS], own[FLITS]
    ahead = AHEAD if work.full else 0
    first, last = work.target_first[stream], work.target_first[stream + 1]
    while True:
        sample, place = divmod(state.sent[stream], packets)
        if sample >= state.ready[stream]:
            return
        if state.under_way[stream] >= (CREDITS if kind in (ERRORS, PARTIALS, GRADIENTS) else WINDOW):
            return
        if kind == SPIKES:
            needed = 0
            for n in range(first, last):
                unit = work.targets[n]
                if unit != NOTHING and sample + ahead >= work.unit[unit, SLOTS]:
                    needed += 1
            if state.allowed[stream, sample] < needed:
                return
        for n in range(work.feed_first[stream], work.feed_first[stream + 1]):
            other = work.feeds[n]
            of = work.stream[other, PACKETS]
            made, whole = place + 1, packets  # the share of the source's own time
            if kind <= PARTIALS:
                whole = max(work.unit[source, A_TIME], 1)
                made = min(own[START] + own[PACE] * (place + 1), whole)
            if state.taken[work.target_first[other]] < sample * of + -(-made * of // whole):
                return
        if now < state.soon[stream]:
            if state.asked[stream] != state.soon[stream]:
                state.asked[stream] = state.soon[stream]
                at(heap, state.soon[stream], EMIT, stream)
            return
        length = flits // packets + (place < flits % packets)
        remote, target = 0, NOTHING
        for n in range(first, last):
            if work.away[n]:
                remote += 1
                target = places[work.targets[n]]
            else:
                at(heap, now + LATENCY, DATA, n)
        state.sent[stream] += 1
        state.under_way[stream] += 1
        state.soon[stream] = now + own[PACE]
        if remote:
            tree = stream if remote > 1 else NOTHING
            _packet(net, places[source], target, tree, length, own[DRAIN], stream * TAGS, remote)
        if place == packets - 1 and kind in (ERRORS, PARTIALS):
            _dispatch(work, state, heap, now, work.unit[source, CORE])


@njit(cache=True, _nrt=False)
def _packet(net, source, target, tree, length, drain, tag, ends):
    width, routers, channels, phits = net.sizes[0], net.sizes[1], net.sizes[2], net.sizes[5]
    at = source if target == routers else target
    channel = (tree if tree != NOTHING else 0 if at == routers else at % width + at // width) % channels
    send(net, source, target, tree, length * phits, channel, -(-drain // phits), tag, ends)


@njit(cache=True, _nrt=False)
def _may_start(work, state, unit, engine):
    """The sample that a unit could start on an engine now, or below 0."""
    done, sizes = state.done[unit], work.unit[unit]
    if engine == 0:
        sample = done[F_BEGUN]
        if sample > done[F_DONE] or sample >= sizes[SAMPLES] or sample - done[G_DONE] >= sizes[SLOTS]:
            return NOTHING
        return sample if state.got[unit, sample, 0] == sizes[SPIKES_IN] else NOTHING
    if engine == 1:
        sample = done[B_BEGUN]
        if sample > done[B_DONE] or sample >= done[R_DONE]:
            return NOTHING
        for n in range(work.out_first[unit], work.out_first[unit + 1]):  # one sample's errors at most wait
            stream = work.outgoing[n]
            behind = state.sent[stream] // work.stream[stream, PACKETS] < sample - 1
            if behind and work.stream[stream, KIND] in (ERRORS, PARTIALS):
                return NOTHING
        return sample
    sample = done[G_BEGUN]
    if sample > done[G_DONE] or sample >= done[R_DONE]:
        return NOTHING
    if work.engines == 1 and sizes[L_TIME] and done[L_DONE] <= sample:
        return NOTHING
    return sample


@njit(cache=True, _nrt=False)
def _dispatch(work, state, heap, now, core):
    """Let the engines of a core that are free begin with the oldest sample that is ready."""
    for number in range(work.engines):
        if state.engine[core, number]:
            continue
        best, chosen, what = np.int64(1 << 62), NOTHING, 0
        for engine in (2, 1, 0):
            if work.engines == 3 and engine != number:
                continue
            for n in range(work.core_first[core], work.core_first[core + 1]):
                sample = _may_start(work, state, work.on_core[n], engine)
                if sample != NOTHING and sample < best:
                    best, chosen, what = sample, work.on_core[n], engine
        if chosen == NOTHING:
            continue
        state.engine[core, number] = True
        done, sizes = state.done[chosen], work.unit[chosen]
        if what == 0:
            done[F_BEGUN] += 1
            at(heap, now + sizes[F_TIME], FORWARD, chosen)
        elif what == 1:
            done[B_BEGUN] += 1
            at(heap, now + sizes[L_TIME], LOCAL, chosen)
        else:
            done[G_BEGUN] += 1
            at(heap, now + sizes[G_TIME], WEIGHT_GRAD, chosen)


@njit(cache=True, _nrt=False)
def _receive(work, state, net, places, heap, now, unit):
    """Begin to take the next sample's errors, or to compute the loss, if it is their turn."""
    done, sizes = state.done[unit], work.unit[unit]
    sample = done[R_BEGUN]
    if done[TURN] or sample > done[R_DONE] or sample >= sizes[SAMPLES] or sample - done[G_DONE] >= sizes[E_SLOTS]:
        return
    if sizes[ERRORS_IN] == 0:
        if done[F_DONE] > sample:
            done[R_BEGUN] += 1
            done[TURN] = 1
            at(heap, now + sizes[LOSS_TIME], LOSS, unit)
        return
    done[R_BEGUN] += 1
    done[TURN] = 1
    if state.got[unit, sample, 1] == sizes[ERRORS_IN]:
        at(heap, now + 1, LOSS, unit)
        return
    for n in range(work.in_first[unit], work.in_first[unit + 1]):
        if work.stream[work.incoming[n], KIND] == ERRORS:
            _take(work, state, net, places, heap, now, work.incoming[n])


@njit(cache=True, _nrt=False)
def _take(work, state, net, places, heap, now, stream):
    """Take the packets of rows that have come, if their unit does; each is acknowledged."""
    kind, source, packets = work.stream[stream, KIND], work.stream[stream, SOURCE], work.stream[stream, PACKETS]
    target = work.target_first[stream]
    unit = work.targets[target]
    done, sizes = state.done[unit], work.unit[unit]
    ahead = AHEAD if work.full and kind == ERRORS else 0
    while state.taken[target] < state.came[target]:
        sample = state.taken[target] // packets + ahead
        if sample < sizes[SAMPLES]:
            if kind == ERRORS and (done[R_BEGUN] <= sample or done[R_DONE] > sample):
                return
            if kind == PARTIALS and done[L_DONE] <= sample:
                return
            if kind == GRADIENTS and done[G_DONE] < sizes[SAMPLES]:
                return
        state.taken[target] += 1
        if work.away[target]:
            _packet(net, places[unit], places[source], NOTHING, 1, 1, stream * TAGS + CREDIT - DATA, 1)
        else:
            at(heap, now + 1, CREDIT, stream)
        if kind == ERRORS and state.taken[target] % packets == 0 and sample < sizes[SAMPLES]:
            state.got[unit, sample, 1] += 1
            if state.got[unit, sample, 1] == sizes[ERRORS_IN]:
                at(heap, now + 1, LOSS, unit)


@njit(cache=True, _nrt=False)
def _release(work, state, net, places, heap, now, unit, low, high):
    """The unit has one more sample for its outgoing streams of the kinds from ``low`` to ``high``."""
    for n in range(work.out_first[unit], work.out_first[unit + 1]):
        stream = work.outgoing[n]
        if low <= work.stream[stream, KIND] <= high:
            if state.sent[stream] == state.ready[stream] * work.stream[stream, PACKETS]:
                first = work.stream[stream, START] + work.stream[stream, PACE]
                state.soon[stream] = max(state.soon[stream], now + first)
            state.ready[stream] += 1
            _push(work, state, net, places, heap, now, stream)
    for n in range(work.in_first[unit], work.in_first[unit + 1]):
        stream = work.incoming[n]
        if low <= work.stream[stream, KIND] <= high and work.stream[stream, KIND] in (PARTIALS, GRADIENTS):
            _take_on(work, state, net, places, heap, now, stream)


@njit(cache=True, _nrt=False)
def _take_on(work, state, net, places, heap, now, stream):
    """Take packets of sums, and go on with what is added to them."""
    _take(work, state, net, places, heap, now, stream)
    unit = work.targets[work.target_first[stream]]
    for n in range(work.out_first[unit], work.out_first[unit + 1]):
        _push(work, state, net, places, heap, now, work.outgoing[n])


@njit(cache=True, _nrt=False)
def _ended(work, state, net, places, heap, now, unit):
    """Weight_grad has ended with a sample: its places are free."""
    done, sizes = state.done[unit], work.unit[unit]
    done[G_DONE] += 1
    sample = done[G_DONE] - 1
    state.ends[sample] = max(state.ends[sample], now)
    state.end[0] = max(state.end[0], now)
    for n in range(work.in_first[unit], work.in_first[unit + 1]):
        stream = work.incoming[n]
        freed = sample + sizes[SLOTS] - (AHEAD if work.full else 0)
        if work.stream[stream, KIND] != SPIKES or not 0 <= freed < state.allowed.shape[1]:
            continue
        source = work.stream[stream, SOURCE]
        if source < len(work.unit) and work.unit[source, CORE] == sizes[CORE]:
            state.allowed[stream, freed] += 1
            _push(work, state, net, places, heap, now, stream)
        else:
            tag = (freed * len(work.stream) + stream) * TAGS + TOKEN - DATA
            _packet(net, places[unit], places[source], NOTHING, 1, 1, tag, 1)
    if work.full or done[G_DONE] == sizes[SAMPLES]:
        _release(work, state, net, places, heap, now, unit, GRADIENTS, RESULTS)
    _receive(work, state, net, places, heap, now, unit)


@njit(cache=True, _nrt=False)
def _data(work, state, net, places, heap, now, target, stream):
    """A packet has come to a target."""
    kind, packets = work.stream[stream, KIND], work.stream[stream, PACKETS]
    unit = work.targets[target]
    state.came[target] += 1
    state.end[0] = max(state.end[0], now)
    if not work.away[target] and kind not in (ERRORS, PARTIALS, GRADIENTS):
        remote = False
        for n in range(work.target_first[stream], work.target_first[stream + 1]):
            remote |= work.away[n]
        if not remote:
            state.under_way[stream] -= 1
            _push(work, state, net, places, heap, now, stream)
    if unit == NOTHING:
        return
    if kind == SPIKES and state.came[target] % packets == 0:
        sample = state.came[target] // packets - 1 + (AHEAD if work.full else 0)
        if sample < work.unit[unit, SAMPLES]:
            state.got[unit, sample, 0] += 1
            _dispatch(work, state, heap, now, work.unit[unit, CORE])
    elif kind == ERRORS:
        _take(work, state, net, places, heap, now, stream)
    elif kind in (PARTIALS, GRADIENTS):
        _take_on(work, state, net, places, heap, now, stream)


@njit(cache=True, _nrt=False)
def _happens(work, state, net, places, heap, now, what, number):
    """Something that was due."""
    if what == EMIT:
        _push(work, state, net, places, heap, now, number)
        return
    if what == DATA:
        stream = np.searchsorted(work.target_first, number, side="right") - 1
        _data(work, state, net, places, heap, now, number, stream)
        return
    if what == CREDIT:
        state.under_way[number] -= 1
        _push(work, state, net, places, heap, now, number)
        return
    if what == TOKEN:
        sample, stream = divmod(number, len(work.stream))
        state.allowed[stream, sample] += 1
        _push(work, state, net, places, heap, now, stream)
        return
    done, sizes = state.done[number], work.unit[number]
    core = sizes[CORE]
    one = work.engines == 1
    if what == FORWARD:
        done[F_DONE] += 1
        state.ends[done[F_DONE] - 1] = max(state.ends[done[F_DONE] - 1], now)
        state.engine[core, 0] = False
        _release(work, state, net, places, heap, now, number, SPIKES, SPIKES)
        _receive(work, state, net, places, heap, now, number)
    elif what == LOSS:
        done[R_DONE] += 1
        if sizes[L_TIME] == 0:
            done[TURN] = 0
            _receive(work, state, net, places, heap, now, number)
    elif what == LOCAL:
        done[L_DONE] += 1
        at(heap, now + sizes[A_TIME], BACKWARD, number)
        _release(work, state, net, places, heap, now, number, ERRORS, PARTIALS)
        if done[LATE]:
            done[LATE] = 0
            at(heap, now + sizes[LAST_TIME], WEIGHT_GRAD, number)
        if sizes[L_TIME]:
            done[TURN] = 0
            _receive(work, state, net, places, heap, now, number)
    elif what == BACKWARD:
        done[B_DONE] += 1
        state.ends[done[B_DONE] - 1] = max(state.ends[done[B_DONE] - 1], now)
        state.engine[core, 0 if one else 1] = False
    elif what == WEIGHT_GRAD:
        if sizes[L_TIME] and done[L_DONE] <= done[G_DONE]:
            done[LATE] = 1
            return
        state.engine[core, 0 if one else 2] = False
        _ended(work, state, net, places, heap, now, number)
    _dispatch(work, state, heap, now, core)


@njit(cache=True, _nrt=False)
def run(work, state, net, places, heap):
    """All of a workload; whether it came to its end."""
    for stream in range(len(work.stream)):
        if work.stream[stream, SOURCE] == len(work.unit):
            at(heap, 0, EMIT, stream)
    for unit in range(len(work.unit)):
        if work.unit[unit, SPIKES_IN] == 0 or work.full:
            _dispatch(work, state, heap, 0, work.unit[unit, CORE])
            _receive(work, state, net, places, heap, 0, unit)
    now = np.int64(0)
    while True:
        while heap[0, 0] and heap[1, 0] <= now:
            what, number = heap[1, 1], heap[1, 2]
            drop(heap)
            _happens(work, state, net, places, heap, now, what, number)
        if not busy(net):
            if heap[0, 0] == 0 or heap[0, 1]:
                break
            now = heap[1, 0]
            continue
        step(net, now)
        for n in range(net.counts[DEPARTED]):
            tag = net.packets[net.departed[n], TAG]
            stream = tag // TAGS
            if tag % TAGS == 0 and work.stream[stream, KIND] in (SPIKES, RESULTS):
                state.under_way[stream] -= 1
                at(heap, now + 1, EMIT, stream)
        for n in range(net.counts[ARRIVED]):
            packet, end, when = net.arrived[n, 0], net.arrived[n, 1], net.arrived[n, 2] + LATENCY
            number, what = divmod(net.packets[packet, TAG], TAGS)
            release(net, packet)
            if what == 0:
                for target in range(work.target_first[number], work.target_first[number + 1]):
                    if work.away[target] and places[work.targets[target]] == end:
                        at(heap, when, DATA, target)
            else:
                at(heap, when, DATA + what, number)
        now += 1
    for unit in range(len(work.unit)):
        if state.done[unit, G_DONE] < work.unit[unit, SAMPLES]:
            return False
    return heap[0, 1] == 0
