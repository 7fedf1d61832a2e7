"""Files of arrays from others: what is in them is read within limits, or refused in a sentence."""

import io
import os
import threading
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trident.hw.errors import TridentError
from trident.snn.data.npz import read_arrays

ARRAYS = {
    "a": np.arange(12.0).reshape(3, 4), "b": np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3)),
    "c": np.array("text"), "d": np.zeros((0, 3), bool), "e": np.array(7, ">i4"),
}  # fmt: skip


@pytest.fixture(params=["stored", "compressed"])
def good(request, tmp_path):
    path = tmp_path / "good.npz"
    (np.savez if request.param == "stored" else np.savez_compressed)(path, **ARRAYS)
    return path


def test_reads_what_numpy_writes(good):
    found = read_arrays(good, "arrays")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].flags.writeable


def header(shape: str, kind: str = "<f8") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def archive(path, *members: tuple[str, bytes]):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def python_objects() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([[1], [2, 3]], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("members, words", [
    ([("a.npy", header("(274877906944,)"))], "is damaged: its shape .* takes 2048 GiB"),
    ([("a.npy", header("(2, -3)"))], "is damaged|cannot be read"),
    ([("a.npy", header("(4,)") + bytes(31))], "is damaged: its shape"),
    ([("a.npy", header("(4,)") + bytes(33))], "is damaged: its shape"),
    ([("a.npy", header("(10 ** 9,)"))], "cannot be read"),
    ([("a.npy", header("(4,)", "<c16") + bytes(64))], "holds complex128, not numbers"),
    ([("a.npy", header("(1,)", "<U9000000") + bytes(36_000_000))], "is a text of"),
    ([("a.npy", python_objects())], "rows of different lengths"),
    ([("a.npy", b"\x93NUMPY\x07\x00")], "is of version 7.0"),
    ([("a.npy", b"no array")], "cannot be read"),
    ([("a.npy", b"")], "cannot be read"),
    ([("readme.txt", b"hello")], "its member 'readme.txt' is not an .npy array"),
    ([("a.npy", bytes(1 << 29))], "no data compress that well"),
    ([(f"{n}.npy", b"") for n in range(10_001)], "has 10001 members"),
])  # fmt: skip
def test_crafted_files_are_refused(tmp_path, members, words):
    path = archive(tmp_path / "crafted.npz", *members)
    tracemalloc.start()
    with pytest.raises(TridentError, match=words) as refused:
        read_arrays(path, "arrays")
    assert tracemalloc.get_traced_memory()[1] < 1 << 28
    tracemalloc.stop()
    assert len(str(refused.value)) < 600 and "\n" not in str(refused.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name(tmp_path):
    array = header("(1,)") + bytes(8)
    with pytest.raises(TridentError, match="two arrays called 'a'"):
        read_arrays(archive(tmp_path / "twice.npz", ("a.npy", array), ("a.npy", array)), "arrays")


def test_places_that_are_no_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = []

    def ask():
        for place in (pipe, "/dev/zero", tmp_path, tmp_path / ("x" * 5000), tmp_path / "a\0b", tmp_path / "gone"):
            with pytest.raises(TridentError, match="give arrays") as refused:
                read_arrays(type(tmp_path)(place), "arrays")
            done.append(str(refused.value))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(10)
    assert len(done) == 6, "a file that never ends is waited for"
    assert all(len(sentence) < 600 and "\0" not in sentence for sentence in done)


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_anywhere(good, data):
    """A byte changed, or the end cut: the arrays as they were, or a sentence."""
    content = bytearray(good.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    path = good.with_name("damaged.npz")
    path.write_bytes(content)
    try:
        found = read_arrays(path, "arrays")
    except TridentError as fault:
        assert "\n" not in str(fault)
        return
    assert all(array.nbytes < 1 << 20 for array in found.values())
