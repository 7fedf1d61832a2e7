"""Golden addition: what hw/units/addition.py computes, bit for bit."""

import numpy as np

from trident.hw.isa.adds import ADDITION
from trident.sim.golden.sums import Sums
from trident.sim.golden.vector import run_program


def addition(own: np.ndarray, other: np.ndarray, sums: Sums, subnormals: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sums of a layer, or the errors at them, and those of another: values of the format (positions, T, channels), of
    which the layer's own pass the multiplier, which keeps ``subnormals`` or not; each sum is rounded once.

    Returns the sums and, bool (positions, channels), where one of them is infinite.
    """
    total = np.empty(own.shape, sums.dtype)
    return total, run_program(ADDITION, sums, subnormals, {}, own, other, total)
