"""Golden windows of sums: what hw/units/window.py computes, bit for bit."""

import numpy as np

from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import to_bits
from trident.snn.network.windows import Windows


def largest(sums: np.ndarray, windows: Windows, fmt: FloatFormat) -> tuple[np.ndarray, np.ndarray]:
    """The largest of every window of an image (N, y, x, T, c), the first of equal ones, and which pixels of the windows
    these are, in raster order, uint8: both (N, windows y, windows x, T, c). Pixels beyond the image are none, those
    behind the last whole window belong to none. A NaN is above all numbers, a zero has no sign."""
    bits = to_bits(sums, fmt).astype(np.int64)
    sign = 1 << fmt.exp + fmt.frac
    bits = np.where(bits == sign, 0, bits)
    keys = np.where(bits & sign, -(bits ^ sign), bits) + 2 * sign  # above 0, which pixels beyond the image have
    winners = first_largest(keys, windows)
    return np.take_along_axis(_flat(sums, windows), winners[..., None].astype(np.intp), axis=-1)[..., 0], winners


def first_largest(keys: np.ndarray, windows: Windows) -> np.ndarray:
    """Which pixel of every window has the largest of positive keys (N, y, x, T, c), the first of equal ones: uint8."""
    return _flat(keys, windows).argmax(axis=-1).astype(np.uint8)


def _flat(values: np.ndarray, windows: Windows) -> np.ndarray:
    """(N, y, x, T, c) as (N, windows y, windows x, T, c, pixels)."""
    pad = windows.padding
    padded = np.pad(values, ((0, 0), (pad, pad), (pad, pad), (0, 0), (0, 0)))
    found = np.lib.stride_tricks.sliding_window_view(padded, (windows.height, windows.size), axis=(1, 2))
    found = found[:, :: windows.stride, :: windows.stride]
    return found.reshape(*found.shape[:5], windows.height * windows.size)


def as_line(sums: np.ndarray, size: int) -> np.ndarray:
    """Outputs (N, 1, 1, T, c) as images of one row, in which ``size`` consecutive outputs are pixels of one channel:
    (N, 1, size, T, c / size), a copy."""
    parts = sums.reshape(*sums.shape[:4], -1, size)[:, 0, 0]
    return np.ascontiguousarray(parts.transpose(0, 3, 1, 2))[:, None]


def of_line(image: np.ndarray) -> np.ndarray:
    """The inverse of :func:`as_line`."""
    samples, _, size, steps, channels = image.shape
    return np.ascontiguousarray(image[:, 0].transpose(0, 2, 3, 1)).reshape(samples, 1, 1, steps, channels * size)
