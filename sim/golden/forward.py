"""Golden forward: what hw/engines/forward.py computes."""

import numpy as np

from trident.sim.golden.sums import Sums, add_where_spikes
from trident.snn.network.kernel import Kernel


def forward(spikes, weights, biases, has_bias, kernel: Kernel, terms, sums: Sums):
    """``x[t] = W * s[t] + b``, exact.

    Parameters
    ----------
    spikes : uint8 (N, y, x, T, in)
    weights : (taps, in, out) values of the format; biases : (out,)
    terms : int, that a sum may have at most

    Returns
    -------
    float64 (N, out y, out x, T, out), sums that are not rounded; and bool (N, out): whether a weight that was added is
    too large.
    """
    samples, y, x, steps, _ = spikes.shape
    exact = np.zeros((samples, *kernel.positions(y, x), steps, weights.shape[2]))
    usable, too_large = sums.terms(weights, terms)
    add_where_spikes(spikes, exact, usable, False, kernel)
    fault = np.zeros((samples, weights.shape[2]), bool)
    if too_large.any():
        added = np.zeros_like(exact)
        add_where_spikes(spikes, added, too_large.astype(np.float64), False, kernel)
        fault |= added.any(axis=(1, 2, 3))
    if has_bias:
        bias, large = sums.terms(biases, terms)
        exact += bias
        fault |= large
    return exact, fault
