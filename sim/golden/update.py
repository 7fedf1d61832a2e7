"""Golden update: what hw/units/update.py computes."""

import numpy as np
from numba import njit

from trident.sim.golden.add import add_value
from trident.sim.golden.mul import mul_value


@njit(cache=True, nogil=True)
def update(weights, momenta, gradients, momentum, minus_rate, scale, subnormals, p):
    """``v = momentum * v + g``; ``w = minus_rate * 2**scale * v + w``; ``g = 0``, element by element.

    Parameters
    ----------
    weights, momenta, gradients : 1-d arrays of values of the format, changed
    momentum, minus_rate : values of the format; scale : int
    p : FormatParameters

    Returns
    -------
    bool: a momentum or weight is infinite.
    """
    fault = False
    for n in range(weights.size):
        v = add_value(mul_value(momentum, momenta[n], p, subnormals, 0), gradients[n], p)
        w = add_value(mul_value(minus_rate, v, p, subnormals, scale), weights[n], p)
        fault |= not (np.isfinite(v) and np.isfinite(w))
        momenta[n], weights[n], gradients[n] = v, w, 0
    return fault
