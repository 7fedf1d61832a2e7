"""Folders of IDX files, as MNIST and Fashion-MNIST are distributed, plain or gzipped."""

import gzip
import re
import zlib
from collections.abc import Iterable
from io import BufferedIOBase
from math import prod
from pathlib import Path

import numpy as np

from trident.hw.errors import TridentError
from trident.snn.data.reading import check_room, octets, read_whole, regular_file, short

PARTS = {"train": "", "t10k": "test_"}  # by what names of files begin with: what names of arrays do
CONTENTS = {"images": ("idx3", (3, 4)), "labels": ("idx1", (1,))}  # how a file is called, and the axes that it may have
BYTES = 0x08  # the code of uint8
OTHERS = {0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_NAME = re.compile(r"(train|t10k)-(images|labels)[-.]idx\d-ubyte(\.gz)?")


def idx_files(paths: Iterable[Path]) -> dict[str, Path]:
    """Those that are named as IDX files of a data set are, by what they hold: ``images``, ``labels``, ``test_images``
    and ``test_labels``. Of a plain file and the same gzipped, the plain one."""
    found: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: path.suffix == ".gz"):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(PARTS[match[1]] + match[2], path)
    return found


def read_idx_folder(folder: Path, files: dict[str, Path]) -> dict[str, np.ndarray]:
    """The arrays of a folder's files, which :func:`idx_files` gives: images uint8 (N, Y, X) or (N, Y, X, C), labels
    uint8 (N,), and ``classes``, the largest label plus 1.

    Raises :class:`TridentError`, naming folder or file and fault, for a file that is no IDX file of bytes, and where a
    file is missing or has another number of samples than its counterpart.
    """
    name = short(str(folder))
    for prefix in PARTS.values():
        for key, other in (("images", "labels"), ("labels", "images")):
            if prefix + key in files and prefix + other not in files:
                wanted = files[prefix + key].name.replace(key, other).replace(CONTENTS[key][0], CONTENTS[other][0])
                raise TridentError(f"{name} holds {files[prefix + key].name} but not its counterpart, {wanted}")
    if "images" not in files:
        raise TridentError(f"{name} has no training part: train-images-idx3-ubyte and train-labels-idx1-ubyte")
    arrays = {key: read_idx(path, CONTENTS[key.removeprefix("test_")][1]) for key, path in files.items()}
    for prefix in PARTS.values():
        images, labels = (arrays.get(prefix + key) for key in CONTENTS)
        if images is not None and labels is not None and len(images) != len(labels):
            raise TridentError(
                f"{name}: {files[prefix + 'images'].name} holds {len(images)} images, {files[prefix + 'labels'].name} "
                f"{len(labels)} labels"
            )
    every = [arrays[prefix + "labels"] for prefix in PARTS.values() if prefix + "labels" in arrays]
    return arrays | {"classes": np.array(max(int(labels.max(initial=0)) for labels in every) + 1)}


def read_idx(path: Path, axes: tuple[int, ...] = (1, 2, 3, 4)) -> np.ndarray:
    """The uint8 array of an IDX file with one of so many axes; gzipped where the name ends in ``.gz``.

    Nothing is read before the header is known to agree with the file's size or, of a gzipped file, to be within the
    limits of :func:`trident.snn.data.reading.check_room`; and no more than it declares. Raises :class:`TridentError`,
    naming file and fault, for anything else.
    """
    size = regular_file(path, "an IDX file")
    name = short(str(path))
    try:
        with path.open("rb") as file:
            if path.suffix != ".gz":
                return _array(file, axes, size, name, packed=False)
            with gzip.GzipFile(fileobj=file) as stream:
                return _array(stream, axes, size, name, packed=True)
    except (OSError, EOFError, zlib.error, MemoryError) as fault:
        raise TridentError(f"{name} cannot be read as an IDX file: {str(fault) or type(fault).__name__}") from None


def _array(stream: BufferedIOBase, axes: tuple[int, ...], size: int, name: str, packed: bool) -> np.ndarray:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in (BYTES, *OTHERS):
        begin = magic.hex(" ") or "nothing"
        raise TridentError(f"{name} is no IDX file: it begins with {begin}, not with 00 00 08 and a number of axes")
    if magic[2] != BYTES:
        raise TridentError(f"{name} holds {OTHERS[magic[2]]}, and only bytes are read")
    if magic[3] not in axes:
        raise TridentError(f"{name} has {magic[3]} axes, not {' or '.join(map(str, axes))}")
    head = stream.read(4 * magic[3])
    if len(head) < 4 * magic[3]:
        raise TridentError(f"{name} is damaged: it ends within its header")
    shape = tuple(np.frombuffer(head, ">u4").tolist())
    wanted, there = prod(shape), size - len(magic) - len(head)
    if not packed and wanted != there:
        raise TridentError(f"{name} is damaged: its shape {shape} takes {octets(wanted)}, and it has {octets(there)}")
    check_room(name, size, wanted)
    return np.frombuffer(read_whole(stream, wanted, name), np.uint8).reshape(shape)
