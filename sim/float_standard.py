"""Standardised weights of the fast twin: the passes that the chip makes, without its roundings."""

import numpy as np

from trident.hw.isa.passes import Pass
from trident.hw.isa.standardise import gradient_passes, gradient_program, standard_numbers, weight_passes
from trident.sim.float_passes import run_passes
from trident.snn.network.layers import Layer


class FloatStandardiser:
    """The standardised weights of a layer, from its raw weights: arrays (taps, in, out) of float32 or float64."""

    def __init__(self, layer: Layer, pruned: bool = False):
        """``pruned``: weights of 0 stay 0."""
        assert layer.epsilon is not None
        self._pruned = pruned
        self._numbers = standard_numbers(layer.fan_in, layer.epsilon)

    def weights(self, raw: np.ndarray) -> np.ndarray:
        """The standardised weights."""
        return self._run(weight_passes(self._pruned), {"w": raw})["z"]

    def gradient(self, raw: np.ndarray, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """The gradient at raw weights, from that at the standardised weights that are made of them."""
        pruned = self._pruned
        passes = (*weight_passes()[:2], *gradient_passes(pruned), Pass(gradient_program(pruned)))
        return self._run(passes, {"w": raw, "z": weights, "g": gradient})["g"]

    def _run(self, passes: tuple[Pass, ...], values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return run_passes(passes, values, self._numbers, int(self._numbers["spread"]))
