"""Cycles of any part of a layer, from the cost model's walks over a crop of it: large images are not walked over."""

from dataclasses import replace
from functools import cache
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from trident.host.compile.packing import blocks, out_groups
from trident.host.mapping.activity import random_activity
from trident.host.mapping.cost import CostModel
from trident.hw.isa.config import CoreConfig
from trident.snn.network.layers import Layer

PIXELS, BLOCKS = 8, 8  # the most of a crop: outputs along a side, and blocks of lanes that are read
GROUPS = 16  # of lanes, the most that a crop has


def rates(layer: Layer, cfg: CoreConfig, density: float, several: bool) -> np.ndarray:
    """Cycles per sample of forward, backward and weight_grad, float64 (groups + 1, 3), for the whole image and so
    many of a layer's groups of lanes, of whose spikes and errors the share ``density`` is not zero, drawn at random.

    several: cores share the groups, so their errors go on as sums. A crop of each part is walked over with 1, 2, 4 to
    :data:`GROUPS` groups; the rest lies on lines between these and beyond. What a crop takes grows with the taps inside
    the image and with the channels that are read. Pools and windows, which take little, are left out.
    """
    groups = out_groups(layer, cfg.lanes)
    points = sorted({min(1 << n, groups) for n in range(GROUPS.bit_length())})
    total = np.zeros((groups + 1, 3))
    for part in layer.parts:
        crop = _crop(part, cfg.lanes)
        grown = _touched(part) / _touched(crop) * part.in_shape[2] / crop.in_shape[2]
        found = grown * np.stack([_cycles(crop, count, cfg, density, several) for count in points])
        if all(source is None for source in part.sources):
            found[:, 1] = 0  # errors of the samples are not wanted
        slope = (found[-1] - found[-2]) / (points[-1] - points[-2]) if len(points) > 1 else np.zeros(3)
        for engine in range(3):
            total[1:, engine] += np.interp(np.arange(1, groups + 1), points, found[:, engine])
        total[points[-1] :] += np.arange(groups + 1 - points[-1])[:, None] * slope
    return total


def _crop(part: Layer, lanes: int) -> Layer:
    """A small layer like it, without what is behind its sums."""
    y, x, channels = part.in_shape
    most = BLOCKS * (PIXELS if part.kind == "linear" and part.mean == 1 else 1)
    if blocks(channels, lanes) > most:
        channels = most * lanes
    y, x = (min(pixels, PIXELS * stride) for pixels, stride in zip((y, x), part.kernel.stride, strict=True))
    reads = tuple(replace(read, source=0) for read in part.reads)
    return replace(
        part, number=0, node="", neuron="", reads=reads, image=(y, x, channels), changes=(),
        pool=1, join=None, window=None, drop=0, norm=None, branches=(), voters=1, last=False,
    )  # fmt: skip


def _touched(layer: Layer) -> int:
    """Pairs of an output pixel and a tap whose pixel is in the image."""
    return prod(
        sum(0 <= at * stride + tap * step - padding < pixels for at in range(outputs) for tap in range(size))
        for outputs, pixels, size, stride, padding, step in zip(
            layer.sum_shape[:2], layer.in_shape[:2], *layer.kernel, strict=True
        )
    )  # fmt: skip


@cache
def _cycles(crop: Layer, groups: int, cfg: CoreConfig, density: float, several: bool) -> np.ndarray:
    """Cycles per sample of the three engines, float64 (3,), for so many groups of lanes of a crop."""
    channels = min(groups * cfg.lanes, crop.out_channels)
    layer = replace(crop, out_channels=channels + several * cfg.lanes)
    network: Any = SimpleNamespace(layers=(layer,))  # all that a cost model asks of it
    cost = CostModel(network, cfg, random_activity(network, cfg.steps, 1, density))
    share = 0, 0, channels
    back = cost.backward_away(*share, 0, crop.image[2])
    return np.array([cost.forward(*share), back, cost.weight_grad(*share)])
