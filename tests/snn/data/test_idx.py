"""Folders of IDX files: what MNIST's format says is read, within limits, or refused in a sentence."""

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trident.cli import main
from trident.hw.errors import TridentError
from trident.snn.data.dataset import load
from trident.snn.data.idx import read_idx

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (12, 3, 4), np.uint8), (np.arange(12) % 3).astype(np.uint8)
FILES = {
    "train-images-idx3-ubyte": IMAGES, "train-labels-idx1-ubyte": LABELS,
    "t10k-images-idx3-ubyte": IMAGES[:6], "t10k-labels-idx1-ubyte": LABELS[:6],
}  # fmt: skip
FEW = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def idx(values: np.ndarray, code: int = 8) -> bytes:
    """An IDX file of bytes, or one that says it holds another type."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, code, values.ndim]) + sizes + values.tobytes()


def write(folder, **changes):
    """The files of a data set in a new folder; ``changes``: by the beginning of a name, other bytes or None."""
    folder.mkdir(exist_ok=True)
    for name, values in FILES.items():
        content = changes.get("_".join(name.split("-")[:2]), idx(values))
        if content is not None:
            (folder / name).write_bytes(content)
    return folder


@FEW
@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)), st.booleans())
def test_reads_what_is_written(tmp_path, values, packed):
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(idx(values), 1) if packed else idx(values))
    found = read_idx(path)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == np.uint8 and found.shape == values.shape


@pytest.mark.parametrize("form", ["plain", "gzipped", "dotted", "both"])
def test_a_folder(tmp_path, form):
    """As it is distributed, with a dot in its names, and unpacked beside the packed files."""
    for name, values in FILES.items():
        content = idx(values)
        if form in ("plain", "both"):
            (tmp_path / name).write_bytes(content)
        if form == "gzipped":
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        if form == "dotted":
            (tmp_path / ".idx".join(name.rsplit("-idx", 1))).write_bytes(content)
        if form == "both":
            (tmp_path / f"{name}.gz").write_bytes(b"never read")
    (tmp_path / "README.txt").write_text("not read")
    (tmp_path / "processed").mkdir()
    data = load(tmp_path)
    assert data.shape == (3, 4, 1) and data.classes == 3 and data.bin_us is None and data.notes == ()
    np.testing.assert_array_equal(np.rint(data.train[..., 0] * 255), IMAGES)
    np.testing.assert_array_equal(np.rint(data.test[..., 0] * 255), IMAGES[:6])
    np.testing.assert_array_equal(data.train_labels, LABELS)
    np.testing.assert_array_equal(data.test_labels, LABELS[:6])


def test_colours(tmp_path):
    colours = RNG.integers(0, 256, (12, 3, 4, 3), np.uint8)
    folder = write(tmp_path / "own", train_images=idx(colours), t10k_images=idx(colours[:6]))
    assert load(folder).shape == (3, 4, 3)


def test_without_a_test_part_a_fifth_is_held_back(tmp_path):
    data = load(write(tmp_path / "own", t10k_images=None, t10k_labels=None))
    assert (len(data.train), len(data.test)) == (9, 3)


def test_labels_with_gaps(tmp_path):
    folder = write(tmp_path / "own", train_labels=idx(LABELS * 2 + 1), t10k_labels=idx(LABELS[:6] * 2 + 1))
    data = load(folder)
    assert data.classes == 6
    assert data.notes[0] == "the training part has no sample of classes 0, 2, 4"


BAD = {
    "is no IDX file: it begins with nothing": b"",
    "is no IDX file: it begins with 50 4b 03 04, not with 00 00 08": b"PK\3\4 and so on",
    "it begins with 00 00 07 03": b"\0\0\7" + idx(IMAGES)[3:],
    "holds int32, and only bytes are read": idx(IMAGES, 0x0C),
    "has 1 axes, not 3 or 4": idx(LABELS),
    "is damaged: it ends within its header": idx(IMAGES)[:15],
    "is damaged: its shape (12, 3, 4) takes 144 bytes, and it has 143 bytes": idx(IMAGES)[:-1],
    "and it has 145 bytes": idx(IMAGES) + b"\0",
    "takes 68719476": b"\0\0\10\3" + b"\xff\xff\xff\xff" * 2 + b"\0\0\20\0" + bytes(99),
    "train-images-idx3-ubyte holds 11 images, train-labels-idx1-ubyte 12 labels": idx(IMAGES[:11]),
    "test samples are 3x4x1, training 2x6x1": idx(IMAGES.reshape(12, 2, 6)),
    "holds 0 images, train-labels-idx1-ubyte 12 labels": idx(IMAGES[:0]),
}


@pytest.mark.parametrize("words, content", BAD.items(), ids=list(BAD))
def test_faults_of_a_file(tmp_path, words, content):
    with pytest.raises(TridentError) as refused:
        load(write(tmp_path / "own", train_images=content))
    said = str(refused.value)
    assert words in said and "own" in said and "\n" not in said and len(said) < 600


PACKED = gzip.compress(idx(IMAGES))
BAD_PACKED = {
    "Not a gzipped file": idx(IMAGES),
    "Compressed file ended before the end-of-stream marker": PACKED[:-1],
    "ended before": PACKED[:40],
    "CRC check failed": PACKED[:-8] + bytes(8),
    "Error -3 while decompressing": PACKED[:12] + b"\xff" * 99,
    "is damaged: 143 bytes of 144 bytes are there": gzip.compress(idx(IMAGES)[:-1]),
    "is damaged: it goes on after the 144 bytes that it declares": gzip.compress(idx(IMAGES) + bytes(1 << 24)),
    "expands to 512 MiB: no data compress that well": gzip.compress(b"\0\0\10\1\x20\0\0\0" + bytes(1 << 20)),
    "more than the": gzip.compress(b"\0\0\10\3" + b"\x7f\xff\xff\xff" * 2 + b"\0\0\0\1"),
    "is damaged: 0 bytes of 256 MiB are there": gzip.compress(b"\0\0\10\1\x10\0\0\0"),
}


@pytest.mark.parametrize("words, content", BAD_PACKED.items(), ids=list(BAD_PACKED))
def test_packed_faults(tmp_path, words, content):
    """No more is unpacked than the header declares, and nothing is kept for what is only declared."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(TridentError) as refused:
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()
    assert words in str(refused.value) and "bomb.gz" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("missing, words", [
    (["train_labels"], "holds train-images-idx3-ubyte but not its counterpart, train-labels-idx1-ubyte"),
    (["train_images"], "holds train-labels-idx1-ubyte but not its counterpart, train-images-idx3-ubyte"),
    (["t10k_labels"], "holds t10k-images-idx3-ubyte but not its counterpart, t10k-labels-idx1-ubyte"),
    (["train_images", "train_labels"], "has no training part: train-images-idx3-ubyte and train-labels-idx1-ubyte"),
    (["train_images", "train_labels", "t10k_images", "t10k_labels"], "holds neither IDX files, as in train-images"),
])  # fmt: skip
def test_missing_files(tmp_path, missing, words):
    with pytest.raises(TridentError, match=words):
        load(write(tmp_path / "own", **dict.fromkeys(missing)))


def test_what_is_no_file(tmp_path):
    write(tmp_path / "own", train_labels=None)
    (tmp_path / "own" / "train-labels-idx1-ubyte").mkdir()
    with pytest.raises(TridentError, match="train-labels-idx1-ubyte is a folder: give an IDX file"):
        load(tmp_path / "own")


def test_events_beside(tmp_path):
    (write(tmp_path / "own") / "Train").mkdir()
    with pytest.raises(TridentError, match="holds IDX files and folders of event recordings: give each a folder of"):
        load(tmp_path / "own")


def test_bin_us_is_of_events(tmp_path):
    with pytest.raises(TridentError, match="bin_us is of event recordings, and .*own has none"):
        load(write(tmp_path / "own"), bin_us=1000)


def test_golden_learns(tmp_path, capsys):
    """Light on the left or on the right, from the command line."""
    images, labels = np.zeros((96, 4, 4), np.uint8), (np.arange(96) % 2).astype(np.uint8)
    images[labels == 0, :, :2] = 250
    images[labels == 1, :, 2:] = 250
    parts = {"train_images": images, "train_labels": labels, "t10k_images": images[:20], "t10k_labels": labels[:20]}
    folder = write(tmp_path / "sides", **{name: idx(values) for name, values in parts.items()})
    with pytest.raises(SystemExit) as end:
        main(["train", "--data", str(folder), "--net", "16-8-2", "--preset", "TINY", "--epochs", "4", "--batch", "8",
              "--target", "golden", "--out", str(tmp_path / "out")])  # fmt: skip
    said = capsys.readouterr().out
    assert end.value.code == 0 and "96 samples to train, 20 to test. " in said
    assert "test 100.00 %" in said
