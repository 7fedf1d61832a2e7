"""From pixel intensities to spike trains."""

import numpy as np

from trident.hw.errors import TridentError
from trident.snn.data import Dataset
from trident.snn.network import Network

METHODS = ("rate", "dither", "bernoulli")
FAINT = 0.5  # share of faint pixels from which it is told


def rate(images: np.ndarray, timesteps: int, phase: float | np.ndarray = 0.0) -> np.ndarray:
    """Spread the spikes of every pixel evenly over time; the same images always give the same spikes.

    Intensity p fires at step t where ``floor((t + 1) * p + phase) > floor(t * p + phase)`` (Bresenham's line), hence
    ``floor(timesteps * p + phase)`` times. ``phase`` is within 0 to 1, 1 excluded: one value or an array that fits
    the images.

    ``images`` (N, Y, X, C) within 0 to 1; returns uint8 (N, timesteps, Y, X, C).
    """
    intensity = images.astype(np.float64)
    spikes = np.empty((len(images), timesteps, *images.shape[1:]), np.uint8)
    before = np.zeros_like(intensity)
    for t in range(timesteps):
        after = np.floor((t + 1) * intensity + phase)
        spikes[:, t] = after > before
        before = after
    return spikes


def bernoulli(images: np.ndarray, timesteps: int, seed: int, epoch: int = 0) -> np.ndarray:
    """Fire every pixel at every step with a probability of its intensity, drawn afresh for each (seed, epoch).

    ``images`` (N, Y, X, C) within 0 to 1; returns uint8 (N, timesteps, Y, X, C).
    """
    rng = np.random.default_rng([seed, epoch])
    spikes = np.empty((len(images), timesteps, *images.shape[1:]), np.uint8)
    for t in range(timesteps):
        spikes[:, t] = rng.random(images.shape, np.float32) < images
    return spikes


def faint(dataset: Dataset, timesteps: int) -> tuple[str, ...]:
    """A sentence where most pixels of the training images that are not zero fire less than once in a sample."""
    pixels = dataset.train[dataset.train > 0] if not dataset.holds_spikes else np.ones(1)
    share = float((pixels < 1 / timesteps).mean()) if pixels.size else 0.0
    if share <= FAINT:
        return ()
    return (
        f"{100 * share:.0f} % of the pixels of {dataset.name} that are not zero fire less than once in {timesteps} "
        f"timesteps: the largest value is an outlier, or more timesteps are needed",
    )


def encode(
    dataset: Dataset, network: Network, timesteps: int, method: str = "rate", seed: int = 0, epoch: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Training and test spikes of a data set in the shape that the network takes.

    ``method`` is "rate" (the default: the same spikes in every epoch); "dither" (the same, but each pixel of each
    training image has a phase drawn anew from ``seed`` and ``epoch``, and the test images a phase of 0.5: an
    augmentation that generalises better); or "bernoulli" (training spikes drawn anew from ``seed`` and ``epoch``, test
    spikes from a stream of their own). Data that already holds spikes passes unchanged. Images for a flat network are
    flattened in (y, x, channel) order.

    Returns two uint8 arrays (N, timesteps, Y, X, C), (Y, X, C) being ``network.in_shape``. Raises
    :class:`TridentError` for another method or when stored spikes do not have ``timesteps`` steps.
    """
    if method not in METHODS:
        raise TridentError(f"encoding must be one of {', '.join(METHODS)}, not {method!r}")
    if dataset.holds_spikes:
        if dataset.train.shape[1] != timesteps:
            raise TridentError(
                f"the spikes of {dataset.name} have {dataset.train.shape[1]} timesteps, the training has {timesteps}"
            )
        both = dataset.train, dataset.test
    elif method == "rate":
        both = rate(dataset.train, timesteps), rate(dataset.test, timesteps)
    elif method == "dither":
        phases = np.random.default_rng([seed, epoch]).random(dataset.train.shape)
        both = rate(dataset.train, timesteps, phases), rate(dataset.test, timesteps, 0.5)
    else:
        # Training epochs use streams 1, 2, ...; stream 0 is the test set's, so that it is the same in every epoch.
        both = bernoulli(dataset.train, timesteps, seed, epoch + 1), bernoulli(dataset.test, timesteps, seed, 0)
    train, test = (spikes.reshape(len(spikes), timesteps, *network.in_shape) for spikes in both)
    return train, test
