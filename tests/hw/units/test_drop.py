"""The drop unit: its RTL against golden word by word, and what the hash leaves."""

from itertools import pairwise

import numpy as np
import pytest

from tests.cocotb.units import BENCHES, check_unit
from trident.hw.isa.dropout import left_below
from trident.sim.golden.drop import drop, kept, layer_key

SIGMAS = 4.5  # that a share may be off; with the keys here none is
SHARES = (0.5, 0.75, 0.875, 0.1, 0.2, 0.4)


@pytest.mark.parametrize("config, stalls", BENCHES)
def test_against_golden(config, stalls):
    assert check_unit("drop", config, stalls) > 0


def bits_of(p: float, samples: int = 400, seed: int = 0, minibatch: int = 0, layer: int = 0) -> np.ndarray:
    """What is left of an image of 6 x 6 x 40 neurons, (samples, neurons)."""
    found = kept(layer_key(seed, minibatch, layer), p, np.arange(samples), (6, 6, 40))
    return found.reshape(samples, -1).astype(np.int64)


@pytest.mark.parametrize("p", SHARES)
def test_the_share_that_is_left(p):
    """Of all, of every sample and of every neuron, as many as there should be."""
    left = bits_of(p)
    for axis, many in ((None, left.size), (1, left.shape[1]), (0, left.shape[0])):
        off = (left.mean(axis=axis) - (1 - p)) / np.sqrt(p * (1 - p) / many)
        assert np.abs(off).max() < (4 if axis is None else SIGMAS)


@pytest.mark.parametrize("p", SHARES)
def test_nothing_is_like_another(p):
    """Samples, neurons, channels, pixels, minibatches, layers and seeds are uncorrelated, near and far ones."""
    left = bits_of(p)
    image = left.reshape(-1, 6, 6, 40)
    pairs = [(left[:-n], left[n:]) for n in (1, 2, 3, 16, 128)] + [(left[:, :-n], left[:, n:]) for n in (1, 40, 240)]
    pairs += [(image[:, :-1], image[:, 1:]), (image[:, :, :-1], image[:, :, 1:]), (image[..., :-8], image[..., 8:])]
    pairs += [(left, bits_of(p, **other)) for other in ({"seed": 1}, {"minibatch": 1}, {"layer": 1})]
    for first, second in pairs:
        both, many = (first & second).mean(), first.size
        assert abs(both - (1 - p) ** 2) < 4 * np.sqrt((1 - p) ** 2 / many)
    # Of all pairs of samples: the squares of their correlations have the mean of chance
    matrix = np.corrcoef(left)
    squares = matrix[~np.eye(len(matrix), dtype=bool)] ** 2 * left.shape[1]
    assert abs(squares.mean() - 1) < 0.05 and squares.max() < 36


def test_the_hash_is_what_it_was():
    """Trained weights depend on it. Lanes do not: a channel has its bit whatever others there are."""
    assert layer_key(3, 17, 2) == 1027577186
    found = kept(0x89ABCDEF, 0.5, np.array([5, 65535]), (2, 3, 8))
    assert np.packbits(found).tobytes().hex() == "3f4ed7a48d5110467aa1d1cc"
    assert (kept(0x89ABCDEF, 0.5, np.array([5, 65535]), (2, 3, 5)) == found[..., :5]).all()
    others = [np.packbits(kept(0x89ABCDEF, p, np.array([5]), (2, 3, 8))).tobytes().hex() for p in (0.75, 0.875)]
    assert others == ["1a40c4208d41", "004084000041"]


def test_a_share_is_a_multiple_of_a_step():
    """What is dropped of a p is dropped of a larger one, too; the step is 2**-16."""
    assert (left_below(0.5), left_below(0.75), left_below(0.1)) == (1 << 15, 1 << 14, 58982)
    lefts = [bits_of(p) for p in (0.1, 0.2, 0.4, 0.5, 0.875)]
    assert all((more >= fewer).all() and (more != fewer).any() for more, fewer in pairwise(lefts))


def test_golden_clears_spikes_and_masks():
    """A window's own and those of all its pixels, at every timestep."""
    rng = np.random.default_rng(0)
    left = (rng.random((2, 2, 3, 5)) < 0.5).astype(np.uint8)
    spikes, masks = (rng.random((2, size * 2, size * 3, 4, 5)) < 0.7 for size in (1, 2))
    dropped, after = drop(spikes.astype(np.uint8), masks.astype(np.uint8), left, 2)
    for n, y, x, t, c in np.ndindex(masks.shape):
        assert after[n, y, x, t, c] == (masks[n, y, x, t, c] and left[n, y // 2, x // 2, c])
    assert (dropped == spikes * left[..., None, :]).all() and 0 < dropped.mean() < spikes.mean()
