"""Golden weight_grad: what hw/engines/weight_grad.py computes, in its order."""

import numpy as np
from numba import njit

from trident.sim.golden.add import add_value


@njit(cache=True, nogil=True)
def weight_grad(spikes, errors, gradients, bias_gradients, has_bias, kernel, stride, padding, p):
    """``dW += sum_t d[t] (x) s[t]`` on top of what earlier samples left: ascending output position, ascending timestep.

    Parameters
    ----------
    spikes : uint8 (y, x, T, in)
    errors : (y, x, T, out) values of the format
    gradients : (kernel * kernel, in, out), changed; bias_gradients : (out,), changed
    p : FormatParameters

    Returns
    -------
    bool: a gradient is infinite or not a number.
    """
    in_y, in_x, steps, channels = spikes.shape
    for oy in range(errors.shape[0]):
        for ox in range(errors.shape[1]):
            for ky in range(kernel):
                iy = oy * stride + ky - padding
                if iy < 0 or iy >= in_y:
                    continue
                for kx in range(kernel):
                    ix = ox * stride + kx - padding
                    if ix < 0 or ix >= in_x:
                        continue
                    for t in range(steps):
                        row = errors[oy, ox, t]
                        for c in range(channels):
                            if spikes[iy, ix, t, c]:
                                total = gradients[ky * kernel + kx, c]
                                for o in range(row.size):
                                    total[o] = add_value(total[o], row[o], p)
            if has_bias:
                for t in range(steps):
                    row = errors[oy, ox, t]
                    for o in range(row.size):
                        bias_gradients[o] = add_value(bias_gradients[o], row[o], p)
    return not (np.isfinite(gradients).all() and np.isfinite(bias_gradients).all())
