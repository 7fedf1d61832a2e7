"""Golden neuron: what hw/units/neuron.py computes."""

import numpy as np
from numba import njit

from trident.sim.golden.add import add_value
from trident.sim.golden.mul import mul_value


@njit(cache=True, nogil=True)
def neuron(x, leak, threshold, low, high, soft, subnormals, spikes, masks, potentials, p):
    """``u[t] = leak * u[t-1] + x[t]``, a spike where u >= threshold, then the reset; initial potential 0.

    Parameters
    ----------
    x : (..., T, neurons) as 2-d blocks (positions, T, neurons), values of the format
    leak, threshold, low, high : values of the format; the surrogate bit is 1 where low < u < high
    soft : subtract the threshold after a spike (``1 * u + (-threshold)``) instead of starting again from 0
    spikes, masks : uint8, written; potentials : u before the reset, written; all shaped as x
    p : FormatParameters

    Returns
    -------
    bool (positions, neurons): a potential is infinite.
    """
    fault = np.zeros((x.shape[0], x.shape[2]), np.bool_)
    for position in range(x.shape[0]):
        for n in range(x.shape[2]):
            state = x.dtype.type(0)
            for t in range(x.shape[1]):
                u = add_value(mul_value(leak, state, p, subnormals, 0), x[position, t, n], p)
                fault[position, n] |= not np.isfinite(u)
                fired = not (u < threshold)
                spikes[position, t, n] = fired
                masks[position, t, n] = low < u and u < high
                potentials[position, t, n] = u
                if not soft:
                    state = x.dtype.type(0) if fired else u
                else:
                    state = mul_value(x.dtype.type(1), u, p, subnormals, 0)
                    if fired:
                        state = add_value(state, -threshold, p)
                    fault[position, n] |= not np.isfinite(state)
    return fault
