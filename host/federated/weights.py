"""The weights of a network as workers and server exchange them: checked, and averaged."""

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.format import FloatFormat
from trident.sim.golden.format import raw_dtype, to_bits, to_values
from trident.sim.golden.parameters import initial_bits
from trident.snn.network.network import Network, Tensors


def initial(network: Network, seed: int, fmt: FloatFormat) -> Tensors:
    """The weights that a run starts with, as :class:`GoldenTrainer` has them."""
    return initial_bits(network, seed, fmt)


def check(weights: Tensors, network: Network, fmt: FloatFormat):
    """Raise :class:`TridentError`, naming the first fault, unless these are finite weights of ``network``."""
    if unlike := set(weights) ^ set(network.tensors):
        name = min(unlike)
        raise TridentError(f"weights {'without' if name in network.tensors else 'with'} {name}")
    for name, shape in network.tensors.items():
        values = weights[name]
        if values.dtype != raw_dtype(fmt):
            raise TridentError(f"{name} of {values.dtype}, not {np.dtype(raw_dtype(fmt))}")
        if values.shape != shape:
            raise TridentError(f"{name} of shape {values.shape}, not {shape}")
        wrong = np.argwhere(~np.isfinite(to_values(values, fmt)))
        if len(wrong):
            at = tuple(map(int, wrong[0]))
            kind = "NaN" if np.isnan(to_values(values[at], fmt)) else "infinity"
            raise TridentError(f"{name} with {kind}, first at {at}")


def average(members: list[tuple[int, int, Tensors]], fmt: FloatFormat) -> Tensors:
    """The mean of the weights of ``members`` (worker, samples, weights), weighted by samples (McMahan et al. 2017).

    Whatever the order of ``members``, ``samples * weight`` is summed in float64 in ascending number of the worker,
    beginning with the first worker's; the sum is divided by the number of samples in float64 and rounded once to the
    format, to nearest even. So one worker's weights come back bit for bit, signed zeros too.
    """
    members = sorted(members, key=lambda member: member[0])
    total = float(sum(samples for _, samples, _ in members))

    def mean(name: str) -> np.ndarray:
        terms = [float(samples) * to_values(weights[name], fmt) for _, samples, weights in members]
        value = terms[0]
        for term in terms[1:]:
            value = value + term
        return to_bits(value / total, fmt)

    return {name: mean(name) for name in members[0][2]}


def differing(ours: Tensors, theirs: Tensors) -> tuple[int, str]:
    """How many weights differ in a bit, and the first in words."""
    count, first = 0, ""
    for name, own in ours.items():
        wrong = np.argwhere(own != theirs[name])
        count += len(wrong)
        if len(wrong) and not first:
            at = tuple(map(int, wrong[0]))
            first = f"{name} at {at}: {int(own[at]):#06x} and {int(theirs[name][at]):#06x}"
    return count, first
