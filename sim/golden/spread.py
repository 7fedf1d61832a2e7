"""Golden errors of windows: what hw/units/spread.py computes, bit for bit."""

import numpy as np

from trident.sim.golden.sums import Sums
from trident.snn.network.windows import Windows


def spread_errors(
    errors: np.ndarray, winners: np.ndarray, windows: Windows, shape: tuple[int, int, int], sums: Sums | None
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of windows at the pixels that they are the largest of.

    Parameters
    ----------
    errors : (N, windows y, windows x, T, c)
    winners : uint8, of the same shape: which pixel of each window has its error, in raster order
    windows : Windows
    shape : (y, x, channels) of the image
    sums : Sums, in which errors are added; None on a core without windows that overlap

    Returns
    -------
    The errors of the image, (N, y, x, T, c), 0 where a pixel is none of a window's: exact sums, rounded once, or
    without ``sums`` each window's error as it is. And which samples have a fault, bool (N,): an error, or such a sum,
    that is too large.
    """
    (y, x, _), many = shape, errors.shape[1:3]
    # As far as the windows reach, and the image
    reach = (
        max(pixels + 2 * windows.padding, windows.stride * own + windows.size)
        for pixels, own in zip((y, x), many, strict=True)
    )
    given, large = (errors, np.zeros(errors.shape, bool)) if sums is None else sums.terms(errors, windows.most)
    total = np.zeros((len(errors), *reach, *errors.shape[3:]), given.dtype)
    for tap in range(windows.height * windows.size):
        rows, columns = (
            slice(first, first + windows.stride * own, windows.stride)
            for first, own in zip(divmod(tap, windows.size), many, strict=True)
        )
        chosen, pixels = winners == tap, total[:, rows, columns]
        pixels[chosen] = given[chosen] if sums is None else pixels[chosen] + given[chosen]
    image = np.ascontiguousarray(total[:, windows.padding :, windows.padding :][:, :y, :x])
    found = image if sums is None else sums.round(image)
    infinite = np.zeros(found.shape, bool) if sums is None else np.isinf(found)
    return found, large.any(axis=(1, 2, 3, 4)) | infinite.any(axis=(1, 2, 3, 4))
