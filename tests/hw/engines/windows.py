"""Small convolutions, written out pixel by pixel, for checks of the golden engines."""

import numpy as np

from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FP16
from trident.sim.golden.sums import Sums

CASES = [(1, 1, 0), (3, 1, 1), (3, 2, 0), (4, 2, 3), (7, 1, 6)]  # kernel, stride, padding
SUMS = Sums(FP16, FixedFormat(48, -24))


def sides(kernel, stride, padding):
    """(y, x) of a small input and of its output."""
    in_y, in_x = 5, 4
    out_y, out_x = ((n + 2 * padding - kernel) // stride + 1 for n in (in_y, in_x))
    return (in_y, in_x), (out_y, out_x)


def joins(kernel, stride, padding):
    """Every (tap, input pixel, output pixel) that a weight joins."""
    (in_y, in_x), out = sides(kernel, stride, padding)
    for ky, kx, oy, ox in np.ndindex(kernel, kernel, *out):
        y, x = oy * stride + ky - padding, ox * stride + kx - padding
        if 0 <= y < in_y and 0 <= x < in_x:
            yield ky * kernel + kx, (y, x), (oy, ox)
