"""Golden sums: exact in float64, rounded once; what the accumulators and hw/arith/sums.py compute, bit for bit."""

import numpy as np
from numba import njit

from trident.hw.isa.fixed import FixedFormat
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import FormatParameters, fmt_parameters, round_value, to_values, value_dtype
from trident.snn.network.kernel import Kernel


class Sums:
    """Exact sums of floats of a format.

    A float64 holds every sum that a core's accumulators hold (at most 53 bits), so terms may be added in any order, by
    a matrix product as well.

    fmt, fixed: the formats; dtype: of arrays of values; parameters: for numba kernels.
    """

    def __init__(self, fmt: FloatFormat, fixed: FixedFormat):
        self.fmt, self.fixed, self.dtype = fmt, fixed, value_dtype(fmt)
        self.parameters: FormatParameters = fmt_parameters(fmt, fixed)
        self._least = float(to_values(1, fmt))

    def limit(self, terms: int) -> int:
        """The exponent code from which on a float is too large to be one of so many terms, beside one given float."""
        return self.fixed.limit(self.fmt, terms, room=1)

    def terms(self, values, terms: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Values as terms of a sum of so many: float64, 0 where one is too large; and whether it is."""
        limit = self.limit(terms)
        too_large = ~(np.abs(values) < 2.0 ** (limit - self.fmt.bias))
        exact = np.where(too_large, 0, values).astype(np.float64)
        if 2.0**self.fixed.place > self._least:
            exact = np.rint(exact / 2.0**self.fixed.place) * 2.0**self.fixed.place
        return exact, too_large

    def round(self, exact: np.ndarray) -> np.ndarray:
        """Sums as the nearest values of the format, ties to even; a zero is +0, what is too large an infinity."""
        rounded = np.empty(exact.shape, self.dtype)
        _round_all(np.ascontiguousarray(exact).reshape(-1), rounded.reshape(-1), self.parameters)
        return rounded

    def rounded(self, exact: np.ndarray, fault: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums (N, y, x, T, out) of forward, rounded; and bool (N, out): a ``fault`` of their terms, or one is
        infinite."""
        result = self.round(exact)
        return result, fault | ~np.isfinite(result).all(axis=(1, 2, 3))

    def add(self, given: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``given + exact``, rounded once, and where that is a fault: a given value is too large or the result is
        infinite."""
        term, unusable = self.terms(given)
        result = self.round(term + exact)
        return result, unusable | ~np.isfinite(result)

    def accumulate(self, gradients: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`add`, but a result that is too large to be added to again, a fault, becomes the largest that is
        not: so a gradient to which nothing was added has the same bits as one to which 0 was."""
        term, unusable = self.terms(gradients)
        result, fault = self.saturate(term + exact, self.limit(1))
        return result, unusable | fault

    def saturate(self, exact: np.ndarray, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Rounded sums, the largest below an exponent code, by default that of infinity, instead of what is too large,
        and where that is."""
        code = self.fmt.inf >> self.fmt.frac if limit is None else limit
        result = self.round(exact)
        fault = ~(np.abs(result) < 2.0 ** (code - self.fmt.bias))
        largest = float(to_values((code << self.fmt.frac) - 1, self.fmt))
        return np.clip(result, -largest, largest), fault

    def bits(self, exact: np.ndarray) -> np.ndarray:
        """Sums as memories hold them: int64, a one is the last place."""
        return np.rint(exact / 2.0**self.fixed.place).astype(np.int64)

    def of_bits(self, bits: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`bits`."""
        return np.asarray(bits).astype(np.int64) * 2.0**self.fixed.place


@njit(cache=True, nogil=True)
def _round_all(exact, out, p):
    for n in range(exact.size):
        out[n] = round_value(exact[n], p) + 0.0


def windows(images: np.ndarray, kernel: Kernel) -> np.ndarray:
    """What each output position reads: (N, y, x, T, c) to a view (N, out y, out x, T, c, kernel y, kernel x)."""
    (pad_y, pad_x), (y, x) = kernel.padding, kernel.reach
    if pad_y or pad_x:
        images = np.pad(images, ((0, 0), (pad_y, pad_y), (pad_x, pad_x), (0, 0), (0, 0)))
    found = np.lib.stride_tricks.sliding_window_view(images, (y + 1, x + 1), axis=(1, 2))
    return found[:, :: kernel.stride[0], :: kernel.stride[1], ..., :: kernel.dilation[0], :: kernel.dilation[1]]


@njit(cache=True, nogil=True)
def add_where_spikes(spikes, outputs, rows, into_rows, kernel):
    """Wherever an input spikes, ``outputs += rows`` or, if ``into_rows``, ``rows += outputs``.

    Parameters
    ----------
    spikes : uint8 (N, y, x, T, in)
    outputs : float64 (N, out y, out x, T, out)
    rows : float64 (taps, in, out)
    kernel : Kernel
    """
    samples, in_y, in_x, steps, channels = spikes.shape
    for n in range(samples):
        for y in range(outputs.shape[1]):
            for x in range(outputs.shape[2]):
                for ky in range(kernel.size[0]):
                    iy = y * kernel.stride[0] + ky * kernel.dilation[0] - kernel.padding[0]
                    if iy < 0 or iy >= in_y:
                        continue
                    for kx in range(kernel.size[1]):
                        ix = x * kernel.stride[1] + kx * kernel.dilation[1] - kernel.padding[1]
                        if ix < 0 or ix >= in_x:
                            continue
                        for t in range(steps):
                            output = outputs[n, y, x, t]
                            for c in range(channels):
                                if spikes[n, iy, ix, t, c]:
                                    row = rows[ky * kernel.size[1] + kx, c]
                                    if into_rows:
                                        for o in range(row.size):
                                            row[o] += output[o]
                                    else:
                                        for o in range(row.size):
                                            output[o] += row[o]
