"""Golden backward: what hw/engines/backward.py computes, in its order."""

import numpy as np
from numba import njit

from trident.sim.golden.add import add_value
from trident.sim.golden.mul import mul_value


@njit(cache=True, nogil=True)
def backward(errors, columns, kernel, stride, padding, e, subnormals, p):
    """``e[t] = W^T * d[t]``: ascending kernel tap, ascending output channel; an error or a weight of zero adds
    nothing, not even when the other has overflowed.

    Parameters
    ----------
    errors : (y, x, T, out) values of the format, d of the layer above
    columns : (kernel * kernel, out, in), the weights transposed
    e : (y, x, T, in), written
    subnormals : bool, whether the multiplier keeps them
    p : FormatParameters

    Returns
    -------
    bool: a sum is infinite or not a number.
    """
    out_y, out_x, steps, channels = errors.shape
    e[:] = 0
    for iy in range(e.shape[0]):
        for ix in range(e.shape[1]):
            for ky in range(kernel):
                y = iy + padding - ky
                if y < 0 or y % stride or y // stride >= out_y:
                    continue
                for kx in range(kernel):
                    x = ix + padding - kx
                    if x < 0 or x % stride or x // stride >= out_x:
                        continue
                    for t in range(steps):
                        total = e[iy, ix, t]
                        for o in range(channels):
                            error = errors[y // stride, x // stride, t, o]
                            if error != 0:
                                column = columns[ky * kernel + kx, o]
                                for c in range(column.size):
                                    sum_ = add_value(total[c], mul_value(column[c], error, p, subnormals, 0), p)
                                    total[c] = total[c] if column[c] == 0 else sum_
    return not np.isfinite(e).all()
