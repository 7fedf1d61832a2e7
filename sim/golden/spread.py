"""Golden errors of windows of sums: what hw/units/spread.py computes, bit for bit."""

import numpy as np


def spread_errors(errors: np.ndarray, winners: np.ndarray, size: int) -> np.ndarray:
    """The error of every window, (N, y, x, T, c), at the pixel that it was the sum of; 0 at the others."""
    spread = np.zeros(winners.shape, errors.dtype)
    rows, columns = (n * size for n in errors.shape[1:3])
    whole = errors.repeat(size, axis=1).repeat(size, axis=2)
    spread[:, :rows, :columns] = np.where(winners[:, :rows, :columns], whole, 0)
    return spread
