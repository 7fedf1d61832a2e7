"""Golden backward: what hw/engines/backward.py computes."""

import numpy as np
from numba import njit

from trident.sim.golden.add import round_to_place
from trident.sim.golden.format import bits_float, float_bits
from trident.sim.golden.sums import Sums
from trident.snn.network.kernel import Kernel


def backward(errors, columns, kernel: Kernel, in_shape, subnormals, terms, sums: Sums, scale=1.0):
    """``e[t] = W^T * d[t]``: products that are rounded once each, in an exact sum. An error or a weight of zero adds
    nothing, not even when the other has overflowed.

    Parameters
    ----------
    errors : (N, out y, out x, T, out) values of the format, d of the layer above
    columns : (taps, out, in), the weights transposed
    in_shape : (y, x) of what the layer reads
    subnormals : bool, whether the multiplier keeps them
    terms : int, that a sum may have at most
    scale : float, a power of two that products are multiplied by before they are rounded

    Returns
    -------
    float64 (N, y, x, T, in), sums that are not rounded; and bool (N,): whether a product that was to be added is too
    large.
    """
    fmt = sums.fmt
    usable, fault = usable_factors(errors, columns, subnormals, sums)
    limit = sums.dtype(2.0 ** (sums.limit(terms) - fmt.bias))
    checked = bool(np.abs(usable[0]).max(initial=0) * np.abs(usable[1]).max(initial=0) * scale * 2 >= limit)
    exact = np.zeros((len(errors), *in_shape, errors.shape[3], columns.shape[2]))
    _backward(
        *usable, kernel, exact, fault, checked, limit,
        sums.dtype(0 if subnormals else 2.0 ** (1 - fmt.bias)), subnormals, sums.dtype(scale), sums.parameters,
    )  # fmt: skip
    return exact, fault


def usable_factors(errors, columns, subnormals, sums: Sums):
    """Both arrays with 0 for what is not finite, and for subnormals that the multiplier flushes; and bool (N,): whether
    a value that is not finite would be multiplied by one that is not zero."""
    fault, usable = np.zeros(len(errors), bool), []
    for values, others in ((errors, columns), (columns, errors)):
        finite = np.isfinite(values)
        if not finite.all():  # beside every number that its products are made with
            fault |= _meets(~finite, others != 0, values is errors)
        clean = np.where(finite, values, 0).astype(sums.dtype)
        if not subnormals:
            clean[np.abs(clean) < 2.0 ** (1 - sums.fmt.bias)] = 0
        usable.append(clean)
    return usable, fault


def _meets(overflowed, present, are_errors: bool):
    """Per sample, whether a value that is not finite is multiplied by one that is not zero."""
    if are_errors:  # by output channel, whose weights are present
        return (overflowed & present.any(axis=(0, 2))).any(axis=(1, 2, 3, 4))
    return (present & overflowed.any(axis=(0, 2))).any(axis=(1, 2, 3, 4))


@njit(cache=True, nogil=True, error_model="numpy")
def _backward(errors, columns, kernel, e, fault, checked, limit, least, subnormals, scale, p):
    c = p.work
    floor = c.min_normal_bits if subnormals else type(c.min_normal_bits)(0)
    zero = type(limit)(0)
    samples, out_y, out_x, steps, channels = errors.shape
    for n in range(samples):
        for y in range(out_y):
            for x in range(out_x):
                for o in range(channels):
                    for t in range(steps):
                        error = errors[n, y, x, t, o] * scale
                        if error == 0:
                            continue
                        for ky in range(kernel.size[0]):
                            iy = y * kernel.stride[0] + ky * kernel.dilation[0] - kernel.padding[0]
                            if iy < 0 or iy >= e.shape[1]:
                                continue
                            for kx in range(kernel.size[1]):
                                ix = x * kernel.stride[1] + kx * kernel.dilation[1] - kernel.padding[1]
                                if ix < 0 or ix >= e.shape[2]:
                                    continue
                                column, total = columns[ky * kernel.size[1] + kx, o], e[n, iy, ix, t]
                                for i in range(column.size):
                                    product = column[i] * error
                                    # As round_to does, and without a branch
                                    magic = bits_float(
                                        max(float_bits(product) & c.exponent_mask, floor) + c.magic_offset, product
                                    )
                                    product = (product + magic) - magic
                                    product = product if abs(product) >= least else zero
                                    if checked and not abs(product) < limit:
                                        fault[n] = True
                                    elif p.coarse:
                                        total[i] += round_to_place(product, p)
                                    else:
                                        total[i] += product
