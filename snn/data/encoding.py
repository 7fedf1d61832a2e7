"""From pixel intensities to spike trains."""

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.planes import PLANES, Planes
from trident.snn.data.dataset import Dataset
from trident.snn.network.network import Network

METHODS = ("rate", "dither", "bernoulli", "direct")
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


def planes_of(dataset: Dataset, timesteps: int, every: bool = False) -> Planes:
    """The planes that hold the values of a data set's images, in spike words of so many timesteps, or of its frames:
    of whole numbers no more than they need. ``every``: images, too, are given at every timestep, as they are where
    their values have more bits than a word has timesteps.

    Raises :class:`TridentError` for values that are too large for planes.
    """
    high, needed = dataset.low + dataset.span, PLANES
    if dataset.whole:
        needed = max(int(high), int(-dataset.low) - 1, 1).bit_length() + (dataset.low < 0)
    still = dataset.steps is None and not every and min(needed, PLANES) <= timesteps
    if dataset.whole and not still and needed <= PLANES:
        return Planes(needed, 0, dataset.low < 0, still)
    return Planes.of_range(dataset.low, high, min(PLANES, timesteps) if still else PLANES, dataset.whole, still)


def direct(images: np.ndarray, planes: Planes, timesteps: int, low: float = 0.0, span: float = 1.0) -> np.ndarray:
    """The bits of the values ``low + span * images``, rounded to the nearest that the planes hold.

    ``images`` (N, Y, X, C) within 0 to 1; returns uint8 (N, timesteps, Y, X, C), which has bit n at timestep n.
    """
    numbers = _numbers(images, planes, low, span)
    bits = np.zeros((len(images), timesteps, *images.shape[1:]), np.uint8)
    for n in range(planes.bits):
        bits[:, n] = numbers >> n & 1
    return bits


def frames(values: np.ndarray, planes: Planes, low: float = 0.0, span: float = 1.0) -> np.ndarray:
    """As :func:`direct` of values that change with time: (N, T, Y, X, C) to uint8 (N, T, Y, X, bits * C), the channels
    of the lowest bits first."""
    numbers = _numbers(values, planes, low, span)
    return np.concatenate([numbers >> n & 1 for n in range(planes.bits)], axis=-1).astype(np.uint8)


def _numbers(values: np.ndarray, planes: Planes, low: float, span: float) -> np.ndarray:
    """The whole numbers of planes that are nearest to the values ``low + span * values``."""
    least = -(1 << planes.bits - 1) if planes.signed else 0
    numbers = np.rint((low + span * values.astype(np.float64)) / 2.0**planes.place)
    return np.clip(numbers, least, least + (1 << planes.bits) - 1).astype(np.int64)


def plane_values(bits: np.ndarray, planes: Planes) -> np.ndarray:
    """The values whose bits :func:`direct` gives, (N, timesteps, Y, X, C) to float64 (N, Y, X, C), or those of
    :func:`frames`, float64 (N, timesteps, Y, X, C)."""
    counts = np.array(planes.counts)
    if planes.still:
        return np.tensordot(bits[:, : planes.bits].astype(np.float64), counts, (1, 0))
    return np.tensordot(np.stack(np.split(bits.astype(np.float64), planes.bits, axis=-1)), counts, (0, 0))


def faint(dataset: Dataset, timesteps: int) -> tuple[str, ...]:
    """A sentence where most pixels of the training images that are not zero fire less than once in a sample."""
    pixels = dataset.train[dataset.train > 0] if dataset.steps is None else np.ones(1)
    share = float((pixels < 1 / timesteps).mean()) if pixels.size else 0.0
    if share <= FAINT:
        return ()
    return (
        f"{100 * share:.0f} % of the pixels of {dataset.name} that are not zero fire less than once in {timesteps} "
        f"timesteps: the largest value is an outlier, or more timesteps are needed",
    )


def rough(dataset: Dataset, planes: Planes) -> tuple[str, ...]:
    """A sentence where real values use fewer than all their bits."""
    largest = max(-dataset.low, dataset.low + dataset.span)
    reach = 2.0 ** (planes.place + planes.bits - planes.signed)
    if 0 < largest <= reach / 2 and not dataset.whole:
        return (
            f"the values of {dataset.name} go up to {largest:.3g} only, and those of planes to {reach:g}: multiply "
            f"them by {2 ** int(np.log2(reach / largest))} to use all {PLANES} bits",
        )
    return ()


def encode(
    dataset: Dataset, network: Network, timesteps: int, method: str = "rate", seed: int = 0, epoch: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Training and test spikes of a data set in the shape that the network takes.

    ``method`` is "rate" (the default: the same spikes in every epoch); "dither" (the same, but each pixel of each
    training image has a phase drawn anew from ``seed`` and ``epoch``, and the test images a phase of 0.5: an
    augmentation that generalises better); "bernoulli" (training spikes drawn anew from ``seed`` and ``epoch``, test
    spikes from a stream of their own); or "direct" (no spikes: the bits of the values as they were given, for a network
    of such ``planes``; of frames, each plane has channels of its own, behind those of the last). Data that already
    holds spikes passes unchanged. Images for a flat network are flattened in (y, x, channel) order.

    Returns two uint8 arrays (N, timesteps, Y, X, C), (Y, X, C) being ``network.in_shape``. Raises
    :class:`TridentError` for another method or when stored spikes do not have ``timesteps`` steps.
    """
    if method not in METHODS:
        raise TridentError(f"encoding must be one of {', '.join(METHODS)}, not {method!r}")
    if dataset.steps not in (None, timesteps):
        raise TridentError(
            f"the samples of {dataset.name} have {dataset.steps} timesteps, the training has {timesteps}"
        )
    dataset.check_encoding(method)
    if dataset.holds_spikes:
        both = dataset.train, dataset.test
    elif method == "rate":
        both = rate(dataset.train, timesteps), rate(dataset.test, timesteps)
    elif method == "direct" and network.planes and not network.planes.still:
        given = network.planes, dataset.low, dataset.span
        train, test = dataset.train, dataset.test
        if not dataset.steps:  # the same at every timestep
            train, test = (np.repeat(images[:, None], timesteps, axis=1) for images in (train, test))
        both = frames(train, *given), frames(test, *given)
    elif method == "direct":
        assert network.planes
        still = network.planes, timesteps, dataset.low, dataset.span
        both = direct(dataset.train, *still), direct(dataset.test, *still)
    elif method == "dither":
        phases = np.random.default_rng([seed, epoch]).random(dataset.train.shape)
        both = rate(dataset.train, timesteps, phases), rate(dataset.test, timesteps, 0.5)
    else:
        # Training epochs use streams 1, 2, ...; stream 0 is the test set's, so that it is the same in every epoch.
        both = bernoulli(dataset.train, timesteps, seed, epoch + 1), bernoulli(dataset.test, timesteps, seed, 0)
    words = network.planes.words if network.planes else 1
    train, test = (_as_samples(spikes, words, network.in_shape) for spikes in both)
    return train, test


def _as_samples(spikes: np.ndarray, words: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Spikes (N, T, ...) as (N, T, y, x, words * channels) for samples (y, x, channels) of so many words."""
    y, x, channels = shape
    parts = np.split(spikes, words, axis=-1)
    flat = [part.reshape(*spikes.shape[:2], y, x, channels) for part in parts]
    return flat[0] if words == 1 else np.concatenate(flat, axis=-1)
