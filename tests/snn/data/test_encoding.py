"""Spike trains and planes of the samples of data sets."""

from dataclasses import replace
from math import floor

import numpy as np
import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.planes import Planes
from trident.snn.data.dataset import Dataset, load
from trident.snn.data.encoding import bernoulli, direct, encode, frames, plane_values, planes_of, rate, rough
from trident.snn.network.network import Network


@pytest.mark.parametrize("phase", [0.0, 0.5, np.random.default_rng(4).random((1, 1, 1, 51))])
@pytest.mark.parametrize("timesteps", [1, 8, 32])
def test_rate_spreads_spikes_evenly(timesteps, phase):
    images = np.linspace(0, 1, 51, dtype=np.float32).reshape(1, 1, 1, 51)
    spikes = rate(images, timesteps, phase)
    phases = np.broadcast_to(phase, images.shape)
    for pixel, (p, start) in enumerate(zip(images.ravel().tolist(), phases.ravel().tolist())):
        expected = [floor((t + 1) * p + start) > floor(t * p + start) for t in range(timesteps)]
        assert spikes[0, :, 0, 0, pixel].tolist() == expected
        assert sum(expected) == floor(timesteps * p + start)
    assert not spikes[..., 0].any() and spikes[..., -1].all()


def test_bernoulli_is_seeded_per_epoch_and_has_the_right_rate():
    images = np.tile(np.array([0, 0.25, 1], np.float32), (2000, 1)).reshape(2000, 1, 1, 3)
    spikes = bernoulli(images, 8, seed=1, epoch=0)
    np.testing.assert_array_equal(spikes, bernoulli(images, 8, seed=1, epoch=0))
    assert (spikes != bernoulli(images, 8, seed=1, epoch=1)).any()
    low, quarter, high = spikes.mean((0, 1, 2, 3))
    # 16,000 draws: five standard deviations are 0.017.
    assert low == 0 and abs(quarter - 0.25) < 0.017 and high == 1


def test_encode_flattens_in_y_x_channel_order():
    data = load("digits")
    flat, _ = encode(data, Network.parse("64-10"), 8)
    image, test = encode(data, Network.parse("8x8x1-10"), 8)
    assert flat.shape == (1437, 8, 1, 1, 64) and test.shape == (360, 8, 8, 8, 1) and test.dtype == np.uint8
    np.testing.assert_array_equal(flat[:, :, 0, 0, 8 * 3 + 5], image[:, :, 3, 5, 0])


@pytest.mark.parametrize("low, high, whole, bits, place, signed", [
    (0, 1, False, 8, -8, False), (0, 16, True, 8, -3, False), (0, 15, True, 4, 0, False), (0, 255, True, 8, 0, False),
    (-1, 1, False, 8, -7, True), (-3, 100, False, 8, 0, True), (0, 0.01, False, 8, -8, False),
    (0, 0, True, 1, -1, False), (-128, 127, True, 8, 0, True),
])  # fmt: skip
def test_planes_of_a_range(low, high, whole, bits, place, signed):
    """The nearest value that the planes hold, and none is further away than half a place, but at the upper end."""
    planes = Planes.of_range(low, high, bits, whole)
    assert planes == Planes(bits, place, signed)
    images = np.linspace(0, 1, 256 if high == 255 else 51).reshape(1, 1, 1, -1)
    given = low + (high - low) * images
    found = plane_values(direct(images, planes, 9, low, high - low), planes)
    off = np.abs(found - np.minimum(given, sum(count for count in planes.counts if count > 0)))
    assert off.max() <= 2.0**place / 2 and found.shape == images.shape
    if whole:
        assert (found[given == np.round(given)] == given[given == np.round(given)]).all()


@pytest.mark.parametrize("images, given_as", [
    (np.arange(40, dtype=np.uint8).reshape(10, 4) * 6, (0, 1, False)),  # pixels
    (np.arange(40, dtype=np.uint8).reshape(10, 4), (0, 39, True)),  # counts
    (np.arange(40, dtype=np.int16).reshape(10, 4) - 10, (-10, 39, True)),
    (np.linspace(-1, 1, 40).reshape(10, 4), (-1, 2, False)),
])  # fmt: skip
def test_direct_takes_values_as_they_are(tmp_path, images, given_as):
    labels = np.arange(10) % 2
    np.savez(tmp_path / "own.npz", images=images, labels=labels, test_images=images, test_labels=labels)
    data = load(tmp_path / "own.npz")
    assert (data.low, data.span, data.whole) == given_as
    network = replace(Network.parse("4-2"), planes=planes_of(data, 8))
    train, test = encode(data, network, 8, "direct")
    assert (train == test).all() and train.dtype == np.uint8
    values = plane_values(train, network.planes).reshape(10, 4)
    wanted = images / 255 if given_as == (0, 1, False) else images
    assert np.abs(values - wanted).max() <= 2.0**network.planes.place
    assert (values == wanted).all() or not data.whole


def test_values_of_few_bits_are_told():
    data = load("digits")
    assert rough(data, planes_of(data, 8)) == ()
    small = replace(data, span=0.1)
    assert rough(small, planes_of(small, 8)) == (
        "the values of digits go up to 0.1 only, and those of planes to 1: multiply them by 8 to use all 8 bits",
    )


@pytest.mark.parametrize(("whole", "timesteps", "planes"), [
    (False, 7, Planes(8, -8, still=False)), (True, 4, Planes(5, 0, still=False)), (True, 6, Planes(6, -1)),
])  # fmt: skip
def test_values_of_more_bits_than_timesteps_are_given_at_each(whole, timesteps, planes):
    """With all their bits, as frames that stay the same; whole numbers from 0 to 16 have five."""
    data = load("digits")
    data = replace(data, span=16.0, whole=True) if whole else data
    assert planes_of(data, timesteps) == planes
    train, _ = encode(data, replace(Network.parse("64-10"), planes=planes), timesteps, "direct")
    values = plane_values(train[:5], planes).reshape(5, -1, 64)
    assert np.abs(values - data.span * data.train[:5].reshape(5, 1, 64)).max() <= (0 if whole else 2.0**planes.place)


@pytest.mark.parametrize("method", ["dither", "bernoulli"])
def test_training_spikes_are_drawn_anew_for_each_epoch_but_test_spikes_are_not(method):
    data, network = load("digits"), Network.parse("64-10")
    (train, test), (next_train, next_test) = (encode(data, network, 8, method, 2, epoch) for epoch in (0, 1))
    np.testing.assert_array_equal(train, encode(data, network, 8, method, 2, 0)[0])
    np.testing.assert_array_equal(test, next_test)
    assert (train != next_train).any()


def test_encode_refuses_another_method():
    with pytest.raises(TridentError, match="encoding must be one of rate, dither, bernoulli, direct, not 'latency'"):
        encode(load("digits"), Network.parse("64-10"), 8, "latency")


def _frames(path, values) -> Dataset:
    np.savez(path, frames=values, labels=np.arange(len(values)) % 2)
    return load(path, counted=True)


def test_frames_as_planes(tmp_path):
    """Whole numbers take no more bits than they need, and every bit has channels of its own."""
    counts = np.random.default_rng(0).integers(0, 6, (10, 3, 2, 4, 1)).astype(np.uint8)
    data = _frames(tmp_path / "counts.npz", counts)
    assert (data.steps, data.shape, data.whole, data.holds_spikes) == (3, (2, 4, 1), True, False)
    planes = planes_of(data, 3)
    assert planes == Planes(3, 0, still=False)
    network = replace(Network.parse("8-2"), planes=planes)
    train, test = encode(data, network, 3, "direct")
    assert train.shape == (8, 3, 1, 1, 3 * 8)
    found = np.concatenate([plane_values(part, planes) for part in (train, test)]).reshape(10, -1)
    assert sorted(found.tolist()) == sorted(counts.reshape(10, -1).tolist())
    with pytest.raises(TridentError, match="holds values that change with time: take ENCODING=direct, not rate"):
        encode(data, network, 3)
    with pytest.raises(TridentError, match="the samples of .* have 3 timesteps, the training has 4"):
        encode(data, network, 4, "direct")


@pytest.mark.parametrize(("low", "high", "planes"), [
    (0.0, 1.0, Planes(8, -8, still=False)), (-3.0, 2.9, Planes(8, -5, True, still=False)),
    (-4, 3, Planes(3, 0, True, still=False)), (-5, 3, Planes(4, 0, True, still=False)),
    (0, 255, Planes(8, 0, still=False)), (0, 0, Planes(2, 0, still=False)),
])  # fmt: skip
def test_planes_of_frames(tmp_path, low, high, planes):
    values = np.linspace(low, high, 40).reshape(10, 2, 2)
    values = np.rint(values) if isinstance(low, int) else values
    data = _frames(tmp_path / "frames.npz", np.concatenate([values, values]))
    assert planes_of(data, 2) == planes
    found = plane_values(frames(data.train, planes, data.low, data.span), planes)
    wanted = data.low + data.span * data.train
    assert np.abs(found - wanted).max() <= (0 if data.whole else 2.0**planes.place)


def test_frames_that_are_too_large(tmp_path):
    data = _frames(tmp_path / "frames.npz", np.array([0, 300] * 10).reshape(10, 2, 1))
    with pytest.raises(TridentError, match="real values go up to 300, more than the 256 that planes hold"):
        planes_of(data, 2)


def test_images_may_be_given_at_every_timestep():
    """As frames that stay the same: for networks that are computed timestep by timestep."""
    data = load("digits")
    planes = planes_of(data, 1, every=True)
    assert planes.bits == 8 and not planes.still
    train, _ = encode(data, replace(Network.parse("64-4rec-10"), planes=planes), 3, "direct")
    assert train.shape[1:] == (3, 1, 1, 8 * 64) and (train[:, :1] == train).all()
    values = plane_values(train[:5], planes)[:, 0, 0, 0]
    assert np.abs(values - data.train[:5].reshape(5, 64)).max() <= 2.0**planes.place
