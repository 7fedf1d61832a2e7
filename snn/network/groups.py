"""Arrays of grouped convolutions: by group, and weights as those of a convolution that joins all channels."""

from collections.abc import Sequence

import numpy as np

from trident.snn.network.layers import Layer


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


def inputs_of(inputs: np.ndarray, layer: Layer, reads: int = 1) -> list[np.ndarray]:
    """What each group reads of (..., in), where the channels of each read lie behind those of the last."""
    if layer.conv_groups == 1:
        return [inputs]
    by_read = inputs.reshape(*inputs.shape[:-1], reads, layer.conv_groups, -1)
    return [np.ascontiguousarray(by_read[..., n, :]).reshape(*inputs.shape[:-1], -1) for n in range(layer.conv_groups)]


def of_groups(array: np.ndarray, layer: Layer) -> list[np.ndarray]:
    """(..., out) by group."""
    if layer.conv_groups == 1:
        return [array]
    return [np.ascontiguousarray(own) for own in np.split(array, layer.conv_groups, axis=-1)]


def together(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The inverse: (..., channels) of all groups."""
    return np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
