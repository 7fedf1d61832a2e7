"""Cycles of one job of an engine, from what it reads: a model of the stages of :mod:`hw.units`.

Every stage is a register that hands its item on when the next one is free. So the cycle at which an item leaves a stage
follows from that of the item before it, and one walk over the items gives the cycles of the job, without a simulation
of every signal. The numbers of cycles between stages are those of :mod:`hw.units`.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from trident.snn.network.kernel import Kernel

# Cycle at which the last item left a stage, by the stage's place in the array of state
WALK, REQUEST, WORD, MATRIX, VECTOR, ROW, BEAT, OP, FIRE, POP, TAKEN = range(11)
# Counts, by the counters of an engine
DRAINS, USEFUL, ISSUED, ROWS, WORDS, REQUESTS, SUMS = range(11, 18)
STATES = 18


class Job(NamedTuple):
    """What a job of an engine takes and does: cycles; additions per lane that are ``useful``, in ``issued`` operations;
    sums ``drained`` by an operation of their own; ``rows`` and ``words`` that are read, and ``requests``, words that
    are asked for, which are zero beyond the image; ``sums`` per lane that leave."""

    cycles: float
    useful: float
    issued: float
    drained: float
    rows: float
    words: float
    requests: float
    sums: float


class Timing(NamedTuple):
    """What the stages need to know of a core and of one engine in it.

    operand: whether a register holds operations, as for a second operand; latency: cycles from an operation to its
    drained value; queue: rows that wait for the neuron unit (0: no such unit); fetch: whether a register holds rows in
    front of it, as for what it reads from memory; recurrence: cycles after which a neuron may take its next timestep;
    passes: how often a row visits the multiplier.

    Rows that leave the core (:class:`RowSender`; packet of 0: they do not) wait ``flit_gap`` cycles after
    every ``flit`` rows and ``packet_gap`` more after every ``packet`` rows. gap: cycles from a column vector
    that is taken to the next one; lead: registers in front of a word's address; sweep: whether a drain passes
    accumulators that hold nothing, a cycle each. planes: words hold planes of real values, so a bias is added once and
    rows of errors are those of the first timestep. windows: neurons that each drained sum goes to.
    """

    operand: bool
    latency: int
    queue: int
    fetch: bool
    recurrence: int
    passes: int
    flit: int = 1
    flit_gap: int = 0
    packet: int = 0
    packet_gap: int = 0
    gap: int = 0
    lead: int = 0
    sweep: bool = False
    planes: bool = False
    windows: int = 1


@njit(cache=True, inline="always")
def _request(s, last, lead):
    """A word request goes through walker and gather; returns the cycle in which a completed matrix is there."""
    s[WALK] = max(s[WALK] + 1, s[REQUEST] - lead)
    s[REQUEST] = max(s[WALK] + 1 + lead, s[WORD])
    s[WORD] = max(s[REQUEST] + 1, s[MATRIX] if last else 0)
    return s[WORD] + 1


@njit(cache=True, inline="always")
def _fire(s, operand, earliest=0):
    """An operation leaves the beat loop in cycle ``BEAT`` and starts in the array, a drain not before ``earliest``."""
    s[OP] = max(s[BEAT] + 1, s[FIRE]) if operand else max(s[BEAT] + 1, earliest)
    s[FIRE] = max(s[OP] + 1, earliest) if operand else s[OP]


@njit(cache=True)
def _drain(s, words, groups, steps, pops, free, timing):
    """All accumulators of a tile leave, timestep by timestep, through the queue to the neuron unit."""
    items = words * groups * timing.windows
    for _ in range(steps):
        for item in range(items):
            s[BEAT] = max(s[BEAT] + 1, s[OP])
            count = s[DRAINS]
            slot = count % timing.queue
            _fire(s, timing.operand, pops[slot] + 1)
            ready_at = s[FIRE] + timing.latency + 1
            if timing.fetch:
                pop = max(ready_at, s[POP] + 1, s[TAKEN])
                taken = max(pop + 1, free[item])
            else:
                pop = taken = max(ready_at, s[POP] + 1, free[item])
            s[POP], s[TAKEN] = pop, taken
            pops[slot] = pop
            free[item] = taken + timing.passes * max(timing.recurrence, items if timing.passes > 1 else 0)
            s[DRAINS] = count = count + 1
            if timing.packet:
                s[POP] += timing.flit_gap * (count % timing.flit == 0)
                s[POP] += timing.packet_gap * (count % timing.packet == 0)


def walk_taps(walks, out_y, out_x, transposed, groups, words, pass_groups, lanes, cols, timing):
    """A job of forward or (``transposed``) backward.

    walks : per walk what is read, uint8 (y, x, channels, T), spikes or error masks, channels padded to whole ``lanes``,
        and kernel and bias
    out_y, out_x, groups : the image that is walked, and its groups of lanes
    words, pass_groups : positions and groups that share the accumulators, as in the job
    """
    shapes = np.array([(*bits.shape[:3], bias, *sum(kernel, ())) for bits, kernel, bias in walks], np.int64)
    flat = np.concatenate([bits.reshape(-1) for bits, *_ in walks])
    steps = walks[0][0].shape[3]
    sizes = (groups, words, pass_groups, lanes, cols)
    return Job(*_walk_taps(flat, shapes, steps, out_y, out_x, transposed, *sizes, timing))


@njit(cache=True)
def _walk_taps(flat, shapes, steps, out_y, out_x, transposed, groups, words, pass_groups, lanes, cols, timing):
    """As :func:`walk_taps`: all bits one after another, and per walk y, x, channels, bias and kernel."""
    chunks = steps // cols
    s = np.zeros(STATES, np.int64)
    pops = np.full(timing.queue, -1, np.int64)
    free = np.zeros(words * pass_groups * timing.windows, np.int64)
    for y in range(out_y):
        for x in range(0, out_x, words):
            taken = min(words, out_x - x)
            for group in range(0, groups, pass_groups):
                pass_ = min(pass_groups, groups - group)
                start = 0
                for walk in range(len(shapes)):
                    in_y, in_x, channels, bias = shapes[walk, :4]
                    w = shapes[walk, 4:]
                    kernel = Kernel((w[0], w[1]), (w[2], w[3]), (w[4], w[5]), (w[6], w[7]))
                    taps = w[0] * w[1]
                    s[WALK] += len(shapes) > 1  # its registers are loaded
                    for tap in range(taps + bias):
                        is_bias = tap == taps
                        for block in range(1 if is_bias else channels // lanes):
                            last_matrix = is_bias or (
                                not bias and tap == taps - 1 and block == channels // lanes - 1
                            )
                            last_matrix = last_matrix and walk == len(shapes) - 1
                            ready_at = 0
                            for word in range(taken):
                                ready_at = _request(s, word == taken - 1, timing.lead)
                                if not is_bias:
                                    s[WORDS] += inside_image(y, x + word, tap, kernel, transposed, in_y, in_x)[0]
                            s[REQUESTS] += taken
                            emitted = ready_at - 1
                            found = False
                            for lane in range(lanes):
                                count = useful = 0
                                for word in range(taken):
                                    if is_bias:
                                        if lane:
                                            continue
                                        inside, py, px = True, 0, 0
                                    else:
                                        inside, py, px = inside_image(y, x + word, tap, kernel, transposed, in_y, in_x)
                                    if not inside:
                                        continue
                                    at = start + ((py * in_x + px) * channels + block * lanes + lane) * steps
                                    for chunk in range(chunks):
                                        ones = 0
                                        for col in range(cols):
                                            if is_bias:
                                                ones += not (timing.planes and chunk)
                                            elif flat[at + chunk * cols + col]:
                                                ones += 1
                                        count += ones > 0
                                        useful += ones
                                if not count:
                                    continue
                                found = True
                                emitted = max(emitted + 1, s[VECTOR] + timing.gap)
                                for _ in range(pass_):
                                    s[VECTOR] = max(emitted + 1, s[ROW])
                                    row = s[VECTOR] + 1
                                    for _ in range(count):
                                        s[BEAT] = max(row, s[BEAT] + 1, s[OP])
                                        _fire(s, timing.operand)
                                    s[ROW] = s[BEAT]
                                s[USEFUL] += useful * pass_
                                s[ISSUED] += count * pass_
                                s[ROWS] += pass_
                            if not found:
                                emitted = max(ready_at, s[VECTOR] + timing.gap)
                                if last_matrix:  # a null vector carries the end on
                                    s[VECTOR] = max(emitted + 1, s[ROW])
                                    s[BEAT] = s[ROW] = max(s[VECTOR] + 1, s[BEAT] + 1, s[OP])
                            s[MATRIX] = emitted
                    start += in_y * in_x * channels * steps
                _drain(s, taken, pass_, steps, pops, free, timing)
    cycles = max(s[FIRE] + timing.latency + 2, s[POP] + 1)
    return cycles, s[USEFUL], s[ISSUED], s[DRAINS], s[ROWS], s[WORDS], s[REQUESTS], s[DRAINS]


@njit(cache=True, inline="always")
def inside_image(y, x, tap, kernel, transposed, in_y, in_x):
    """Whether what a tap reads at a position is in the image, and which pixel it is."""
    ky, kx = tap // kernel.size[1] * kernel.dilation[0], tap % kernel.size[1] * kernel.dilation[1]
    if transposed:
        py, px = y + kernel.padding[0] - ky, x + kernel.padding[1] - kx
        whole = py % kernel.stride[0] == 0 and px % kernel.stride[1] == 0
        py, px = py // kernel.stride[0], px // kernel.stride[1]
    else:
        py, px = y * kernel.stride[0] + ky - kernel.padding[0], x * kernel.stride[1] + kx - kernel.padding[1]
        whole = True
    return whole and 0 <= py < in_y and 0 <= px < in_x, py, px


def walk_blocks(bits, rows, kernel, bias, words, pass_groups, lanes, cols, accumulators, timing):
    """A job of weight_grad.

    bits : uint8 (y, x, channels, T), the input spikes, channels padded to whole ``lanes``
    rows : uint8 (y, x, T, groups), whether a row of errors holds anything but zeros
    words, pass_groups : input blocks and groups that share the accumulators, as in the job
    """
    sizes = (words, pass_groups, lanes, cols, accumulators)
    return Job(*_walk_blocks(bits, rows, kernel, bias, *sizes, timing))


@njit(cache=True)
def _walk_blocks(bits, rows, kernel, bias, words, pass_groups, lanes, cols, accumulators, timing):
    """As :func:`walk_blocks`."""
    in_y, in_x, channels, steps = bits.shape
    out_y, out_x, _, groups = rows.shape
    blocks = channels // lanes
    taps = kernel.size[0] * kernel.size[1] * blocks
    per_word = lanes // cols
    group_entries = words * per_word
    s = np.zeros(STATES, np.int64)
    touched = np.zeros(accumulators, np.uint8)
    matrix = np.zeros((words * lanes, steps), np.uint8)
    for first in range(0, taps + bias, words):
        taken = min(words, taps + bias - first)
        for group in range(0, groups, pass_groups):
            pass_ = min(pass_groups, groups - group)
            for position in range(out_y * out_x):
                y, x = divmod(position, out_x)
                final = position == out_y * out_x - 1
                ready_at = 0
                s[REQUESTS] += taken
                for word in range(taken):
                    ready_at = _request(s, word == taken - 1, timing.lead)
                    tap, block = divmod(first + word, blocks)
                    inside, py, px = inside_image(y, x, tap, kernel, False, in_y, in_x)
                    if first + word == taps:
                        matrix[word * lanes : (word + 1) * lanes] = 0
                        matrix[word * lanes, : 1 if timing.planes else steps] = 1
                    elif inside:
                        s[WORDS] += 1
                        matrix[word * lanes : (word + 1) * lanes] = bits[py, px, block * lanes : (block + 1) * lanes]
                    else:
                        matrix[word * lanes : (word + 1) * lanes] = 0
                emitted = ready_at - 1
                found = False
                for t in range(steps):
                    some = False
                    for n in range(taken * lanes):
                        some |= matrix[n, t] != 0
                    if not some:
                        continue
                    found = True
                    emitted = max(emitted + 1, s[VECTOR] + timing.gap)
                    for number in range(pass_):
                        s[VECTOR] = max(emitted + 1, s[ROW])
                        row = s[VECTOR] + 1
                        s[ROWS] += 1
                        if not rows[y, x, 0 if timing.planes else t, group + number]:  # dropped
                            s[BEAT] = s[ROW] = max(row, s[BEAT] + 1, s[OP])
                            continue
                        for beat in range(taken * per_word):
                            ones = later = 0
                            for n in range(beat * cols, (beat + 1) * cols):
                                ones += matrix[n, t]
                                for after in range(t + 1, steps):
                                    later += matrix[n, after]
                            if not ones:
                                continue
                            s[BEAT] = max(row, s[BEAT] + 1, s[OP])
                            _fire(s, timing.operand)
                            touched[number * group_entries + beat] = not (final and later == 0)
                            s[USEFUL] += ones
                            s[ISSUED] += 1
                            s[SUMS] += final and later == 0
                        s[ROW] = s[BEAT]
                if not found:
                    emitted = max(ready_at, s[VECTOR] + timing.gap)
                    if final:
                        s[VECTOR] = max(emitted + 1, s[ROW])
                        s[BEAT] = s[ROW] = max(s[VECTOR] + 1, s[BEAT] + 1, s[OP])
                s[MATRIX] = emitted
            left = 0
            for entry in range(accumulators):
                left += touched[entry]
            for entry in range(accumulators):
                if touched[entry] or (timing.sweep and left):
                    s[BEAT] = max(s[BEAT] + 1, s[OP])
                if touched[entry]:
                    left -= 1
                    s[DRAINS] += 1
                    s[SUMS] += 1
                    _fire(s, timing.operand)
                    touched[entry] = 0
    cycles = max(s[FIRE] + timing.latency + 2, s[BEAT] + 1)
    return cycles, s[USEFUL], s[ISSUED], s[DRAINS], s[ROWS], s[WORDS], s[REQUESTS], s[SUMS]
