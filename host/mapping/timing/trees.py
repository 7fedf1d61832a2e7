"""The ways of multicasts through the mesh."""

import numpy as np
from numba import njit

from trident.host.mapping.timing.arrays import SOURCE
from trident.host.mapping.timing.routers import EAST, LOCAL, NORTH, NOTHING, SOUTH, WEST


@njit(cache=True)
def trees(work, places, width, routers):
    """The outputs of every router, as bits, on the ways along x, then y, of streams to several cores."""
    ways = np.zeros((len(work.stream), routers), np.uint8)
    for stream in range(len(work.stream)):
        source = places[work.stream[stream, SOURCE]]
        start = 0 if source == routers else source
        for n in range(work.target_first[stream], work.target_first[stream + 1]):
            if not work.away[n] or work.targets[n] == NOTHING:
                continue
            y, x = divmod(start, width)
            to_y, to_x = divmod(places[work.targets[n]], width)
            while x != to_x:
                ways[stream, y * width + x] |= 1 << (EAST if to_x > x else WEST)
                x += 1 if to_x > x else -1
            while y != to_y:
                ways[stream, y * width + x] |= 1 << (SOUTH if to_y > y else NORTH)
                y += 1 if to_y > y else -1
            ways[stream, y * width + x] |= 1 << LOCAL
    return ways
