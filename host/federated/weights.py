"""The weights of a network as workers and server exchange them: checked, and averaged."""

import numpy as np

from trident.host.federated.message import Weights
from trident.hw.errors import TridentError
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import decode, encode, raw_dtype
from trident.snn.network import Network

NAMES = ("weights", "biases")


def initial(network: Network, seed: int, fmt: FloatFormat) -> Weights:
    """The weights that a run starts with, as :class:`GoldenTrainer` has them."""
    return [tuple(encode(part, fmt) for part in pair) for pair in network.initial_weights(seed)]


def check(weights: Weights, network: Network, fmt: FloatFormat):
    """Raise :class:`TridentError`, naming the first fault, unless these are finite weights of ``network``."""
    if len(weights) != len(network.layers):
        raise TridentError(f"weights of {len(weights)} layers, not of {len(network.layers)}")
    for number, (layer, pair) in enumerate(zip(network.layers, weights, strict=True), 1):
        for name, part, shape in zip(NAMES, pair, (layer.weight_shape, (layer.out_channels,)), strict=True):
            if part.dtype != raw_dtype(fmt):
                raise TridentError(f"{name} of layer {number} are {part.dtype}, not {np.dtype(raw_dtype(fmt))}")
            if part.shape != shape:
                raise TridentError(f"{name} of layer {number} have shape {part.shape}, not {shape}")
            wrong = np.argwhere(~np.isfinite(decode(part, fmt)))
            if len(wrong):
                at = tuple(map(int, wrong[0]))
                kind = "NaN" if np.isnan(decode(part[at], fmt)) else "infinity"
                raise TridentError(f"{name} of layer {number} contain {kind}, first at {at}")


def average(members: list[tuple[int, int, Weights]], fmt: FloatFormat) -> Weights:
    """The mean of the weights of ``members`` (worker, samples, weights), weighted by samples (McMahan et al. 2017).

    Whatever the order of ``members``, ``samples * weight`` is summed in float64 in ascending number of the worker,
    beginning with the first worker's; the sum is divided by the number of samples in float64 and rounded once to the
    format, to nearest even. So one worker's weights come back bit for bit, signed zeros too.
    """
    members = sorted(members, key=lambda member: member[0])
    total = float(sum(samples for _, samples, _ in members))

    def mean(layer: int, part: int) -> np.ndarray:
        terms = [float(samples) * decode(weights[layer][part], fmt) for _, samples, weights in members]
        value = terms[0]
        for term in terms[1:]:
            value = value + term
        return encode(value / total, fmt)

    return [(mean(layer, 0), mean(layer, 1)) for layer in range(len(members[0][2]))]


def differing(ours: Weights, theirs: Weights) -> tuple[int, str]:
    """How many weights differ in a bit, and the first in words."""
    count, first = 0, ""
    for number, pairs in enumerate(zip(ours, theirs, strict=True), 1):
        for name, a, b in zip(NAMES, *pairs, strict=True):
            wrong = np.argwhere(a != b)
            count += len(wrong)
            if len(wrong) and not first:
                at = tuple(map(int, wrong[0]))
                first = f"{name} of layer {number} at {at}: {int(a[at]):#06x} and {int(b[at]):#06x}"
    return count, first
