"""Golden sums of several cores: what hw/units/reduce.py computes."""

import numpy as np

from trident.sim.golden.sums import Sums


def reduce(values: np.ndarray, before: np.ndarray, sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """``values + before``, gradients, rounded once, and where that is a fault; see :meth:`Sums.accumulate`."""
    term, unusable = sums.terms(before)
    result, fault = sums.accumulate(values, term)
    return result, fault | unusable
