"""Small convolutions, written out pixel by pixel, for checks of the golden engines."""

import numpy as np

from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FP16
from trident.sim.golden.sums import Sums
from trident.snn.network.kernel import Kernel

CASES = [
    *(Kernel.square(*sizes) for sizes in ((1, 1, 0), (3, 1, 1), (3, 2, 0), (4, 2, 3), (7, 1, 6))),
    Kernel((1, 4), (1, 3), (0, 2)), Kernel((3, 2), (4, 1), (3, 1), (2, 3)), Kernel((11, 3), (3, 4), (10, 1)),
]  # fmt: skip
SUMS = Sums(FP16, FixedFormat(48, -24))


def sides(kernel):
    """(y, x) of a small input and of its output."""
    inside = 5, 4
    (size_y, size_x), (down, along), (top, left), (skip_y, skip_x) = kernel
    out_y = (5 + 2 * top - skip_y * (size_y - 1) - 1) // down + 1
    return inside, (out_y, (4 + 2 * left - skip_x * (size_x - 1) - 1) // along + 1)


def joins(kernel):
    """Every (tap, input pixel, output pixel) that a weight joins."""
    (in_y, in_x), out = sides(kernel)
    (size_y, size_x), (down, along), (top, left), (skip_y, skip_x) = kernel
    for ky, kx, oy, ox in np.ndindex(size_y, size_x, *out):
        y, x = oy * down + ky * skip_y - top, ox * along + kx * skip_x - left
        if 0 <= y < in_y and 0 <= x < in_x:
            yield ky * size_x + kx, (y, x), (oy, ox)
