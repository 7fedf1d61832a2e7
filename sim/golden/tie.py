"""Golden tie: what hw/units/tie.py makes of the gradients of a parameter that channels share."""

import numpy as np


def tie(gradients: np.ndarray) -> np.ndarray:
    """At each of (channels,) exact gradients, or sums as whole numbers, the sum of all."""
    return np.full_like(gradients, gradients.sum())
