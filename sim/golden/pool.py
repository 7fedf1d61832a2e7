"""Golden pool: what hw/units/pool.py computes."""

import numpy as np


def windows_of(images: np.ndarray, size: int) -> np.ndarray:
    """Images (N, y, x, T, c) as windows: (N, y / size, x / size, T, c, size * size), in raster order, a copy."""
    samples, y, x, steps, channels = images.shape
    windows = images.reshape(samples, y // size, size, x // size, size, steps, channels)
    return windows.transpose(0, 1, 3, 5, 6, 2, 4).reshape(samples, y // size, x // size, steps, channels, size * size)


def of_windows(windows: np.ndarray, size: int) -> np.ndarray:
    """The inverse of :func:`windows_of`."""
    samples, y, x, steps, channels, _ = windows.shape
    images = windows.reshape(samples, y, x, steps, channels, size, size).transpose(0, 1, 5, 2, 6, 3, 4)
    return np.ascontiguousarray(images.reshape(samples, y * size, x * size, steps, channels))


def pool(spikes: np.ndarray, masks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Join the spikes of windows that do not overlap.

    Parameters
    ----------
    spikes, masks : uint8 (N, y, x, T, c)
    size : int, pixels along a side of a window

    Returns
    -------
    uint8 (N, y / size, x / size, T, c), whether any of a window fired; and the masks, but only at the pixel of each
    window that has its error: the first that fired, or the first of all where none did, as PyTorch's ``max_pool2d``.
    """
    windows = windows_of(spikes, size)
    first = windows.argmax(axis=-1)
    chosen = of_windows(first[..., None] == np.arange(size * size), size)
    return np.ascontiguousarray(windows.max(axis=-1)), masks & chosen


def count(spikes: np.ndarray, size: int) -> np.ndarray:
    """How many of windows that do not overlap fire: uint8 (N, y, x, T, c) to (N, y / size, x / size, T, planes * c),
    the bits of the numbers, lowest first, channels innermost."""
    numbers = windows_of(spikes, size).sum(axis=-1, dtype=np.uint16)
    planes = (size * size).bit_length()
    return np.concatenate([numbers >> n & 1 for n in range(planes)], axis=-1).astype(np.uint8)


def spread(errors: np.ndarray, size: int) -> np.ndarray:
    """The errors of windows, (N, y, x, T, c), at each of their pixels."""
    return errors.repeat(size, axis=1).repeat(size, axis=2)
