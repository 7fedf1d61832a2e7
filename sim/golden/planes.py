"""Golden sums of real values that are given as planes: what forward and weight_grad make of them."""

from collections.abc import Callable

import numpy as np

from trident.hw.isa.planes import Planes
from trident.sim.golden.sums import Sums
from trident.snn.network.kernel import Kernel


def plane_terms(values: np.ndarray, planes: Planes, sums: Sums) -> np.ndarray:
    """Values times what each plane counts for, rounded to the last place of the sums: (planes, ...)."""
    counts = np.array(planes.counts).reshape(-1, *[1] * values.ndim)
    place = 2.0**sums.fixed.place
    return (np.rint(values.astype(np.float64) * counts / place) * place).astype(sums.dtype)


def count_terms(values: np.ndarray, count: float, sums: Sums) -> np.ndarray:
    """Values times what a spike counts for; those of spikes that count for 1 are what they are."""
    if count == 1:
        return values
    place = 2.0**sums.fixed.place
    return (np.rint(values.astype(np.float64) * count / place) * place).astype(sums.dtype)


def weight_grad_plane(
    engine: Callable, bits, errors, has_bias, kernel: Kernel, terms, count: float, sums: Sums
):  # fmt: skip
    """As ``engine``, one as :func:`sim.golden.weight_grad.weight_grad`, of spikes that count for ``count``; those of
    biases count for 1."""
    if count == 1:
        return engine(bits, errors, has_bias, kernel, terms, sums)
    gradients, _, fault = engine(bits, count_terms(errors, count, sums), False, kernel, terms, sums)
    usable, large = sums.terms(errors, terms)
    if has_bias:
        fault = fault | large.any(axis=(0, 1, 2, 3))
    return gradients, usable.sum(axis=(0, 1, 2, 3)), fault


def forward_planes(
    engine: Callable, bits, weights, biases, has_bias, kernel: Kernel, terms, planes: Planes, sums: Sums
):  # fmt: skip
    """``x = W * v + b`` of values v, the same at every timestep, by an ``engine`` as
    :func:`sim.golden.forward.forward`.

    Parameters
    ----------
    bits : uint8 (N, y, x, T, in), which has bit n of a value at timestep n
    weights, biases, has_bias, kernel, terms: as of the engine
    """
    samples, y, x, steps, channels = bits.shape
    # Each plane of a channel as a channel, with weights of its own
    channel_bits = bits[..., : planes.bits, :].reshape(samples, y, x, 1, planes.bits * channels)
    rows = plane_terms(weights, planes, sums).transpose(1, 0, 2, 3).reshape(len(weights), -1, weights.shape[-1])
    exact, fault = engine(
        np.ascontiguousarray(channel_bits), np.ascontiguousarray(rows), biases, has_bias, kernel, terms, sums
    )
    return np.repeat(exact, steps, axis=3), fault


def weight_grad_planes(
    engine: Callable, bits, errors, has_bias, kernel: Kernel, terms, planes: Planes, sums: Sums
):  # fmt: skip
    """``D (x) v`` of values v and errors D that have been summed over time, by an ``engine`` as
    :func:`sim.golden.weight_grad.weight_grad`.

    Parameters
    ----------
    bits : uint8 (N, y, x, T, in), as of :func:`forward_planes`
    errors : (N, out y, out x, T, out) values of the format; those of the first timestep are D
    """
    summed = errors[..., 0, :]
    rows = np.ascontiguousarray(np.moveaxis(plane_terms(summed, planes, sums), 0, 3))
    gradients, _, fault = engine(
        np.ascontiguousarray(bits[..., : planes.bits, :]), rows, False, kernel, terms, sums
    )
    usable, large = sums.terms(summed, terms)
    if has_bias:
        fault = fault | large.any(axis=(0, 1, 2))
    return gradients, usable.sum(axis=(0, 1, 2)), fault
