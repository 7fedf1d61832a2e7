"""Golden forward: what hw/engines/forward.py computes, in its order."""

import numpy as np
from numba import njit

from trident.sim.golden.add import add_value


@njit(cache=True, nogil=True)
def forward(spikes, weights, biases, has_bias, kernel, stride, padding, x, p):
    """``x[t] = W * s[t] + b``: ascending kernel tap, ascending input channel, bias last.

    Parameters
    ----------
    spikes : uint8 (y, x, T, in)
    weights : (kernel * kernel, in, out) values of the format; biases : (out,)
    x : (y, x, T, out), written
    p : FormatParameters

    Returns
    -------
    bool: a sum is infinite or not a number.
    """
    in_y, in_x, steps, channels = spikes.shape
    x[:] = 0
    for oy in range(x.shape[0]):
        for ox in range(x.shape[1]):
            for ky in range(kernel):
                iy = oy * stride + ky - padding
                if iy < 0 or iy >= in_y:
                    continue
                for kx in range(kernel):
                    ix = ox * stride + kx - padding
                    if ix < 0 or ix >= in_x:
                        continue
                    for t in range(steps):
                        total = x[oy, ox, t]
                        for c in range(channels):
                            if spikes[iy, ix, t, c]:
                                row = weights[ky * kernel + kx, c]
                                for o in range(row.size):
                                    total[o] = add_value(total[o], row[o], p)
            if has_bias:
                for t in range(steps):
                    total = x[oy, ox, t]
                    for o in range(biases.size):
                        total[o] = add_value(total[o], biases[o], p)
    return not np.isfinite(x).all()
