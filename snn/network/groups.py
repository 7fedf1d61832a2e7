"""Weights of grouped convolutions, as those of a convolution that joins all channels."""

import numpy as np


def spread_groups(weights: np.ndarray, groups: int) -> np.ndarray:
    """(taps, inputs of a group, outputs) as (taps, inputs, outputs), with 0 between inputs and outputs of different
    groups."""
    if groups == 1:
        return weights
    taps, inputs, outputs = weights.shape
    full = np.zeros((taps, groups, inputs, groups, outputs // groups), weights.dtype)
    own = np.arange(groups)
    full[:, own, :, own] = weights.reshape(taps, inputs, groups, -1).transpose(2, 0, 1, 3)
    return full.reshape(taps, groups * inputs, outputs)


def take_groups(full: np.ndarray, groups: int) -> np.ndarray:
    """The inverse of :func:`spread_groups`."""
    if groups == 1:
        return full
    taps, inputs, outputs = full.shape
    own = np.arange(groups)
    found = full.reshape(taps, groups, inputs // groups, groups, outputs // groups)[:, own, :, own]
    return found.transpose(1, 2, 0, 3).reshape(taps, inputs // groups, outputs)
