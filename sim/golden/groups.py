"""Golden groups: a grouped convolution is a convolution of each group."""

from collections.abc import Sequence

import numpy as np

from trident.snn.network.layers import Layer


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
