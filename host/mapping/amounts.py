"""What a slice of a layer takes of a core: words, operations and cycles."""

from dataclasses import dataclass, replace

import numpy as np

from trident.host.compile.packing import WeightMap, blocks, out_groups
from trident.host.mapping.activity import LayerActivity
from trident.hw.isa.config import CoreConfig
from trident.snn.network.layers import Layer
from trident.snn.network.network import Network


@dataclass(frozen=True)
class Words:
    """Words of a core's memories: weight rows, and per sample under way the spike words that it reads, those that it
    writes, and its error words."""

    weight_rows: int
    input_words: int
    spike_words: int
    error_words: int


@dataclass(frozen=True)
class Operations:
    """Additions (forward, weight_grad) and multiply-adds (backward) per sample, over all lanes."""

    adds: float
    multiply_adds: float

    @property
    def total(self) -> float:
        return self.adds + self.multiply_adds


@dataclass(frozen=True)
class Cycles:
    """Cycles per sample of a core's engines, with the start of their jobs: forward with the neuron unit, backward with
    loss and neuron_grad, weight_grad."""

    forward: float = 0
    backward: float = 0
    weight_grad: float = 0

    def __add__(self, other: "Cycles") -> "Cycles":
        return Cycles(
            self.forward + other.forward, self.backward + other.backward, self.weight_grad + other.weight_grad
        )

    @property
    def longest(self) -> float:
        return max(self.forward, self.backward, self.weight_grad)

    @property
    def total(self) -> float:
        return self.forward + self.backward + self.weight_grad


def count_words(network: Network, cfg: CoreConfig, n: int, share: Layer) -> Words:
    """Words that a slice of the layer with this number takes."""
    groups = out_groups(share, cfg.lanes)
    (y, x, _), (height, width, _) = share.out_shape, share.sum_shape
    words, errors = y * x * groups // share.line, height * width * groups
    if not share.fires and len(network.adders[n]) == 1 and not (share.norm or share.window):
        errors = 0  # those of what adds its sums
    elif share.adds and (share.norm or share.window) and (share.fires or len(network.adders[n]) > 1):
        errors += words  # before the norm and behind it
    pooled_y, pooled_x, _ = share.pooled_shape
    rewritten = pooled_y * pooled_x * groups * (share.out_planes.words if share.out_planes else 1)
    planes = share.reads[0].planes
    inputs = share.image[0] * share.image[1] * blocks(share.image[2], cfg.lanes) * (planes.words if planes else 1)
    parts = (replace(part, out_channels=share.out_channels) for part in share.parts)
    rows = sum(WeightMap(part, cfg).rows for part in parts)
    spikes = (words + (rewritten if share.rewrites else 0)) * share.fires
    return Words(rows, *(cfg.chunks * own for own in (inputs, spikes, errors)))


def count_operations(layer: Layer, activity: LayerActivity, first: int, end: int) -> Operations:
    """Additions and multiply-adds of the channels of a layer from ``first`` up to ``end``, per sample, those with a
    zero left out."""
    errors = activity.errors[..., first:end]
    samples, y, x, steps, channels = errors.shape
    if layer.planes:  # a bias is added once, and errors are those of the first timestep
        steps, errors = 1, errors[..., :1, :]
    forward = gradient = backward = 0
    for part, read in zip(layer.parts, activity.parts, strict=True):
        # (N, y, x, T, group), of all reads
        by_read = read.reshape(*read.shape[:4], len(part.reads), part.conv_groups, -1)
        spikes = by_read.sum(axis=(4, 6), dtype=np.int64)
        by_group = errors.reshape(*errors.shape[:4], part.conv_groups, -1).sum(axis=5, dtype=np.int64)
        forward += samples * y * x * steps * channels * part.bias
        trained = not part.fixed
        gradient += errors.sum(dtype=np.int64) * part.bias
        for tap in range(part.taps):
            outputs, inputs = _window(part, tap)
            here, there = by_group[(slice(None), *np.ix_(*outputs))], spikes[(slice(None), *np.ix_(*inputs))]
            forward += there.sum() * channels // part.conv_groups
            gradient += (there * here).sum() * trained
            wanted = 0 if part.silent else sum(source is not None for source in part.sources)  # whose errors are
            readable = part.mean**2 * wanted
            backward += here[..., part.delay :, :].sum() * (part.in_shape[2] // part.conv_groups) * readable
    return Operations(float(forward + gradient) / samples, float(backward) / samples)


def _window(layer: Layer, tap: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Rows and columns of output positions whose tap is inside the image, and of the pixels that they read."""
    here, there, kernel = [], [], layer.kernel
    axes = zip(layer.sum_shape[:2], layer.in_shape[:2], kernel.stride, kernel.padding, kernel.offset(tap), strict=True)
    for size, inside, stride, padding, offset in axes:
        positions = np.arange(size)
        pixels = positions * stride + offset - padding
        kept = (pixels >= 0) & (pixels < inside)
        here.append(positions[kept])
        there.append(pixels[kept])
    return tuple(here), tuple(there)
