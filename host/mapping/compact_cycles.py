"""Cycles of a job of the compact core's shared engine: what :mod:`host.mapping.engine_cycles` is for the three engines.

A multiply-add of the neuron units keeps the engine for two cycles.
"""

import numpy as np
from numba import njit

from trident.host.mapping.engine_cycles import inside_image

# The state of a walk: cycle of the last word's end, of the last operation, of the last row's leaving the queue and its
# taking by the neuron unit; rows drained; multiply-adds asked for, and those that the engine has passed
END, FIRE, POP, TAKEN, DRAINS, ASKED, PASSED, STATES = range(8)
START = 5  # cycles from a job's start to its first operation
RING = 64  # multiply-adds whose cycle is kept


@njit(cache=True, inline="always")
def _fire(s, macs, earliest=0):
    """The next operation, not before ``earliest`` and not in the two cycles after the request of a multiply-add, whose
    cycles are in ``macs``."""
    at = max(s[FIRE] + 1, earliest, s[END] + 1)
    while s[PASSED] < s[ASKED] and macs[s[PASSED] % RING] < at:
        at = max(at, macs[s[PASSED] % RING] + 3) if at <= macs[s[PASSED] % RING] + 2 else at
        s[PASSED] += 1
    s[FIRE] = at


@njit(cache=True)
def _drain(s, macs, groups, steps, pops, free, timing):
    """All accumulators of a tile leave, timestep by timestep, through the queue to the neuron unit."""
    for _ in range(steps):
        for group in range(groups):
            slot = s[DRAINS] % timing.queue
            _fire(s, macs, pops[slot] + 1)
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
            for turn in range(timing.passes):
                asked = taken + turn * timing.recurrence
                macs[s[ASKED] % RING] = max(asked, macs[(s[ASKED] - 1) % RING] + 2)
                s[ASKED] += 1
            if timing.packet:
                s[POP] += timing.flit_gap * (s[DRAINS] % timing.flit == 0)
                s[POP] += timing.packet_gap * (s[DRAINS] % timing.packet == 0)
    s[END] = s[FIRE]


@njit(cache=True)
def walk_taps(bits, out_y, out_x, kernel, transposed, bias, groups, pass_groups, timing):
    """Cycles of a job of forward or (``transposed``) backward, and the additions it makes.

    bits : uint8 (y, x, channels, T), what is read: spikes or error masks
    out_y, out_x, groups : the image that is walked, and its groups; pass_groups : those that share the accumulators
    """
    in_y, in_x, channels, steps = bits.shape
    s, macs = np.zeros(STATES, np.int64), np.full(RING, -2, np.int64)
    s[END] = s[FIRE] = START
    pops, free = np.full(timing.queue, -1, np.int64), np.zeros(pass_groups, np.int64)
    useful, taps = 0, kernel.size[0] * kernel.size[1]
    for y in range(out_y):
        for x in range(out_x):
            for group in range(0, groups, pass_groups):
                here = min(pass_groups, groups - group)
                for tap in range(taps + bias):
                    is_bias = tap == taps
                    inside, py, px = inside_image(y, x, tap, kernel, transposed, in_y, in_x)
                    for block in range(1 if is_bias else channels):
                        some = False
                        for t in range(steps):
                            if is_bias or (inside and bits[py, px, block, t]):
                                some = True
                                for _ in range(here):
                                    _fire(s, macs)
                                useful += here
                        s[END] = s[FIRE] if some else max(s[END], s[FIRE]) + 1
                _drain(s, macs, here, steps, pops, free, timing)
    return max(s[FIRE] + timing.latency + 1, s[POP] + 1), useful


@njit(cache=True)
def walk_blocks(bits, out_y, out_x, kernel, bias, groups, pass_groups, timing):
    """Cycles of a job of weight_grad, and the additions it makes.

    bits : uint8 (y, x, channels, T), the input spikes
    out_y, out_x, groups : the layer's output; pass_groups : groups that are added to before the next position
    """
    in_y, in_x, channels, steps = bits.shape
    s, macs = np.zeros(STATES, np.int64), np.full(RING, -2, np.int64)
    s[END] = s[FIRE] = START
    useful = 0
    taps = kernel.size[0] * kernel.size[1]
    for first in range(taps * channels + bias):
        tap, block = divmod(first, channels)
        is_bias = tap == taps
        for group in range(0, groups, pass_groups):
            here, added = min(pass_groups, groups - group), False
            for position in range(out_y * out_x):
                y, x = divmod(position, out_x)
                inside, py, px = inside_image(y, x, tap, kernel, False, in_y, in_x)
                some = False
                for t in range(steps):
                    if is_bias or (inside and bits[py, px, block, t]):
                        some = added = True
                        for _ in range(here):
                            _fire(s, macs)
                        useful += here
                s[END] = s[FIRE] if some else max(s[END], s[FIRE]) + 1
            if added:  # the sums are added to the gradients
                for _ in range(here):
                    _fire(s, macs)
                s[END] = s[FIRE]
    return s[FIRE] + timing.latency, useful
