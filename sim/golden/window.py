"""Golden windows of sums: what hw/units/window.py computes, bit for bit."""

import numpy as np

from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import to_bits


def largest(sums: np.ndarray, size: int, fmt: FloatFormat) -> tuple[np.ndarray, np.ndarray]:
    """The largest of every window of ``size`` x ``size`` pixels of (N, y, x, T, c), the first of equal ones, and which
    pixels these are, uint8 (N, y, x, T, c). Pixels beyond the last whole window belong to none. A NaN is above all
    numbers, a zero has no sign."""
    bits = to_bits(sums, fmt).astype(np.int64)
    sign = 1 << fmt.exp + fmt.frac
    bits = np.where(bits == sign, 0, bits)
    windows, keys = (_windows(values, size) for values in (sums, np.where(bits & sign, -(bits ^ sign), bits)))
    chosen = keys.argmax(axis=-1)[..., None]
    winners = np.zeros(sums.shape, np.uint8)
    own = _windows(winners, size)
    for pixel in range(size**2):
        y, x = divmod(pixel, size)
        rows, columns = own.shape[1:3]
        winners[:, y : rows * size : size, x : columns * size : size] = chosen[..., 0] == pixel
    return np.take_along_axis(windows, chosen, axis=-1)[..., 0], winners


def _windows(values: np.ndarray, size: int) -> np.ndarray:
    """Pixels of whole windows: (N, y, x, T, c) as (N, windows y, windows x, T, c, pixels)."""
    samples, y, x, steps, channels = values.shape
    rows, columns = y // size, x // size
    whole = values[:, : rows * size, : columns * size].reshape(samples, rows, size, columns, size, steps, channels)
    return whole.transpose(0, 1, 3, 5, 6, 2, 4).reshape(samples, rows, columns, steps, channels, size**2)
