"""Cycles of a job of the compact core's shared engine: what :mod:`host.mapping.engine_cycles` is for the three engines.

A multiply-add of the neuron units keeps the engine for a cycle.
"""

import numpy as np
from numba import njit

# The state of a walk: cycle of the last word's end, of the last operation, of the last row's leaving the queue and its
# taking by the neuron unit; rows drained; multiply-adds that have yet to take a cycle from the engine
END, FIRE, POP, TAKEN, DRAINS, STOLEN, STATES = range(7)
START = 5  # cycles from a job's start to its first operation


@njit(cache=True, inline="always")
def _gap(timing):
    """Least cycles between additions to one sum."""
    return timing.add_stages + 2


@njit(cache=True, inline="always")
def _fire(s, earliest):
    """The next operation, not before ``earliest``; a multiply-add goes first."""
    s[FIRE] = max(s[FIRE] + 1, earliest, s[END] + 1)
    if s[STOLEN]:
        s[STOLEN] -= 1
        s[FIRE] += 1


@njit(cache=True)
def _drain(s, written, groups, steps, descending, pops, free, timing):
    """All accumulators of a tile leave, timestep by timestep, through the queue to the neuron unit."""
    for time in range(steps):
        step = steps - 1 - time if descending else time
        for group in range(groups):
            slot = s[DRAINS] % timing.queue
            _fire(s, max(written[group * steps + step] + _gap(timing), pops[slot] + 1))
            written[group * steps + step] = s[FIRE]
            there = s[FIRE] + timing.latency + 1
            pop = max(there, s[POP] + 1)
            if timing.fetch:
                pop = max(pop, s[TAKEN])
                taken = max(pop + 1, free[group])
            else:
                pop = taken = max(pop, free[group])
            s[POP], s[TAKEN], pops[slot] = pop, taken, pop
            free[group] = taken + timing.passes * timing.recurrence
            s[DRAINS] += 1
            s[STOLEN] += timing.passes
            if timing.packet:
                s[POP] += timing.flit_gap * (s[DRAINS] % timing.flit == 0)
                s[POP] += timing.packet_gap * (s[DRAINS] % timing.packet == 0)
    s[END] = s[FIRE]


@njit(cache=True)
def walk_taps(bits, out_y, out_x, kernel, stride, padding, transposed, bias, groups, pass_groups, accumulators, timing):
    """Cycles of a job of forward or (``transposed``) backward, and the additions it makes.

    bits : uint8 (y, x, channels, T), what is read: spikes or error masks
    out_y, out_x, groups : the image that is walked, and its groups; pass_groups : those that share the accumulators
    """
    in_y, in_x, channels, steps = bits.shape
    s = np.zeros(STATES, np.int64)
    s[END] = s[FIRE] = START
    written = np.full(accumulators, -_gap(timing), np.int64)
    pops, free = np.full(timing.queue, -1, np.int64), np.zeros(accumulators, np.int64)
    useful = 0
    for y in range(out_y):
        for x in range(out_x):
            for group in range(0, groups, pass_groups):
                here = min(pass_groups, groups - group)
                for tap in range(kernel * kernel + bias):
                    ky, kx = divmod(tap, kernel)
                    is_bias, inside = tap == kernel * kernel, True
                    if transposed:
                        py, px = y + padding - ky, x + padding - kx
                        inside = py % stride == 0 and px % stride == 0
                        py, px = py // stride, px // stride
                    else:
                        py, px = y * stride + ky - padding, x * stride + kx - padding
                    inside = inside and 0 <= py < in_y and 0 <= px < in_x
                    for block in range(1 if is_bias else channels):
                        some = False
                        for t in range(steps):
                            if is_bias or (inside and bits[py, px, block, t]):
                                some = True
                                for number in range(here):
                                    _fire(s, written[number * steps + t] + _gap(timing))
                                    written[number * steps + t] = s[FIRE]
                                useful += here
                        s[END] = s[FIRE] if some else max(s[END], s[FIRE]) + 1
                _drain(s, written, here, steps, transposed, pops, free, timing)
    return max(s[FIRE] + timing.latency + 1, s[POP] + 1), useful


@njit(cache=True)
def walk_blocks(bits, out_y, out_x, kernel, stride, padding, bias, groups, pass_groups, timing):
    """Cycles of a job of weight_grad, and the additions it makes.

    bits : uint8 (y, x, channels, T), the input spikes
    out_y, out_x, groups : the layer's output; pass_groups : groups that are added to before the next position
    """
    in_y, in_x, channels, steps = bits.shape
    s = np.zeros(STATES, np.int64)
    s[END] = s[FIRE] = START
    written = np.full(groups, -_gap(timing), np.int64)
    useful = 0
    for first in range(kernel * kernel * channels + bias):
        tap, block = divmod(first, channels)
        is_bias = tap == kernel * kernel
        for group in range(0, groups, pass_groups):
            here = min(pass_groups, groups - group)
            for position in range(out_y * out_x):
                py = position // out_x * stride + tap // kernel - padding
                px = position % out_x * stride + tap % kernel - padding
                inside = 0 <= py < in_y and 0 <= px < in_x
                some = False
                for t in range(steps):
                    if is_bias or (inside and bits[py, px, block, t]):
                        some = True
                        for number in range(here):
                            _fire(s, written[number] + _gap(timing))
                            written[number] = s[FIRE]
                        useful += here
                s[END] = s[FIRE] if some else max(s[END], s[FIRE]) + 1
    return s[FIRE] + timing.latency, useful
