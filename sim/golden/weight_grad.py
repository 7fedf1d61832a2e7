"""Golden weight_grad: what hw/engines/weight_grad.py computes."""

import numpy as np

from trident.sim.golden.sums import Sums, add_where_spikes, windows
from trident.snn.network.kernel import Kernel


def weight_grad(spikes, errors, has_bias, kernel: Kernel, terms, sums: Sums):
    """``sum_t d[t] (x) s[t]`` over samples, positions and timesteps, exact.

    Parameters
    ----------
    spikes : uint8 (N, y, x, T, in)
    errors : (N, out y, out x, T, out) values of the format
    terms : int, that a sum may have at most

    Returns
    -------
    float64 (taps, in, out) and (out,), sums that are not rounded; and bool (out,): whether an error that
    was added is too large.
    """
    usable, too_large = sums.terms(errors, terms)
    gradients = np.zeros((kernel.taps, spikes.shape[-1], errors.shape[-1]))
    add_where_spikes(spikes, usable, gradients, True, kernel)
    fault = np.zeros(errors.shape[-1], bool)
    if too_large.any():
        added = True if has_bias else windows(spikes, kernel).any(axis=(4, 5, 6))[..., None]
        fault |= (too_large & added).any(axis=(0, 1, 2, 3))
    return gradients, usable.sum(axis=(0, 1, 2, 3)), fault
