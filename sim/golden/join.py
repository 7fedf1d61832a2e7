"""Golden join: what hw/units/join.py computes."""

import numpy as np

from trident.sim.golden.sums import windows as windows_of
from trident.sim.golden.window import first_largest
from trident.snn.network.kernel import Kernel
from trident.snn.network.windows import Windows


def join(spikes: np.ndarray, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Join the spikes of windows, which may overlap.

    Parameters
    ----------
    spikes : uint8 (N, y, x, T, c)
    windows : Windows

    Returns
    -------
    uint8 (N, windows y, windows x, T, c), whether any of a window fired; and which pixel of it, in raster order, has
    its error: the first that fired, or the first of the image where none did, as PyTorch's ``max_pool2d``.
    """
    kernel = Kernel.square(windows.size, windows.stride, windows.padding)
    found = windows_of(spikes, kernel).max(axis=(5, 6))
    return np.ascontiguousarray(found), first_largest(spikes + np.uint8(1), windows)
