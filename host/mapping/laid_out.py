"""Spikes and errors as they lie in a core's memories, which its engines walk over."""

import numpy as np

from trident.host.compile.packing import WeightMap, out_groups, out_places
from trident.host.mapping.activity import LayerActivity
from trident.hw.isa.config import CoreConfig
from trident.snn.network.layers import Layer


def inputs_of(layer: Layer, activity: LayerActivity, cfg: CoreConfig) -> list[list[tuple[Layer, int, np.ndarray]]]:
    """Per sample and read of each part of a layer, the part, which of its reads it is, and what it reads: uint8
    (y, x, channels, T), channels padded to whole lanes."""
    inputs: list[list[tuple[Layer, int, np.ndarray]]] = [[] for _ in range(len(activity.inputs))]
    for part, read in zip(layer.parts, activity.parts, strict=True):
        weights = WeightMap(part, cfg)
        y, x, _ = (part.mean, part.mean, 0) if part.mean > 1 else part.in_shape
        for own, spikes in zip(inputs, read, strict=True):
            reads, steps = np.split(spikes, len(part.reads), axis=-1), spikes.shape[2]
            if part.mean > 1:  # whose pixels lie beside each other
                reads = [bits.reshape(steps, part.mean, part.mean, -1).transpose(1, 2, 0, 3) for bits in reads]
            padded = np.zeros((len(reads), y, x, weights.blocks * cfg.lanes, steps), np.uint8)
            padded[:, :, :, weights.in_channels] = np.stack(reads).transpose(0, 1, 2, 4, 3)
            own += [(part, number, bits) for number, bits in enumerate(padded)]
    return inputs


def errors_of(share: Layer, errors: np.ndarray, cfg: CoreConfig) -> list[np.ndarray]:
    """Per sample the errors (N, y, x, T, channels) of a layer, or of a slice of one, as (y, x, channels, T), channels
    padded to whole lanes."""
    turned = errors.transpose(0, 1, 2, 4, 3)
    samples, y, x, _, steps = turned.shape
    padded = np.zeros((samples, y, x, out_groups(share, cfg.lanes) * cfg.lanes, steps), errors.dtype)
    padded[:, :, :, out_places(share, cfg.lanes)] = turned
    return list(padded)


def chunk_of(bits: np.ndarray, cfg: CoreConfig, chunk: int, delay: int = 0) -> np.ndarray:
    """Those of (y, x, channels, T) in one spike word, 0 behind the last timestep; before the first one of what is read
    ``delay`` timesteps late, and where no timestep is left, there is no image."""
    first = chunk * cfg.timesteps
    found = bits[..., first : first + cfg.timesteps]
    beyond = cfg.timesteps - found.shape[-1]
    if beyond == cfg.timesteps or chunk < delay:
        return np.zeros((0, 0, bits.shape[2], cfg.timesteps), bits.dtype)
    return found if not beyond else np.pad(found, ((0, 0), (0, 0), (0, 0), (0, beyond)))


def words_of(bits: np.ndarray, cfg: CoreConfig, first: int, count: int) -> np.ndarray:
    """So many words of each pixel of (y, x, channels, T)."""
    return bits[:, :, first * cfg.lanes : (first + count) * cfg.lanes]
