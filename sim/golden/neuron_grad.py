"""Golden neuron_grad: what hw/units/neuron_grad.py computes."""

import numpy as np
from numba import njit

from trident.sim.golden.add import add_value
from trident.sim.golden.mul import mul_value


@njit(cache=True, nogil=True)
def neuron_grad(e, spikes, masks, potentials, leak, threshold, slope, triangle, soft, subnormals, d, p):
    """``d[t] = h[t] * e[t] + leak * (1 - s[t]) * d[t+1]``, last timestep first, the reset detached.

    Parameters
    ----------
    e : (positions, T, neurons) values of the format
    spikes, masks : uint8; potentials : values; all shaped as e
    leak, threshold, slope : values of the format; slope is -1 / window
    triangle : h = max(0, 1 + slope * abs(u - threshold)) instead of the stored bit
    soft : without the factor (1 - s)
    d : written, shaped as e
    p : FormatParameters

    Returns
    -------
    bool (positions, neurons): a result of the multiply-adder is infinite.
    """
    zero, one = e.dtype.type(0), e.dtype.type(1)
    fault = np.zeros((e.shape[0], e.shape[2]), np.bool_)
    for position in range(e.shape[0]):
        for n in range(e.shape[2]):
            carried = zero
            for t in range(e.shape[1] - 1, -1, -1):
                if triangle:
                    u = mul_value(one, potentials[position, t, n], p, subnormals, 0)
                    distance = add_value(u, -threshold, p)
                    h = add_value(mul_value(slope, abs(distance), p, subnormals, 0), one, p)
                    fault[position, n] |= not (np.isfinite(distance) and np.isfinite(h))
                    if np.signbit(h):
                        h = zero
                    own = mul_value(h, e[position, t, n], p, subnormals, 0)
                    fault[position, n] |= not np.isfinite(own)
                else:
                    own = e[position, t, n] if masks[position, t, n] else zero
                if spikes[position, t, n] and not soft:
                    carried = zero
                carried = add_value(mul_value(leak, carried, p, subnormals, 0), own, p)
                fault[position, n] |= not np.isfinite(carried)
                d[position, t, n] = carried
    return fault
