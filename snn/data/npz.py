"""Files of arrays that others wrote: .npz files, read within limits, whatever is in them."""

import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from trident.hw.errors import TridentError
from trident.snn.data.reading import check_room, octets, read_whole, regular_file, short

MEMBERS = 10_000  # of a file
TEXT = 1 << 20  # bytes of an array that is a text
_KINDS = "biufU"  # bool, whole numbers, floats, text


def read_arrays(path: Path, what: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name: bool, whole numbers, floats and texts.

    Nothing is read before it is known to be within limits: each member's header must agree with its declared size, all
    together take at most a quarter of the memory, and no more than 300 times the file's size where that is above 256
    MiB. Raises :class:`TridentError`, naming file, member and fault, for anything else; ``what`` says what was wanted.
    """
    size = regular_file(path, what)
    name = short(str(path))
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if start.startswith(npy.MAGIC_PREFIX):
                raise TridentError(f"{name} is a single array, not an .npz file: save it with numpy.savez")
            with zipfile.ZipFile(file) as archive:
                return _members(archive, name, size)
    # RuntimeError, and its NotImplementedError, is what zipfile says of encryption and of unknown compression
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, MemoryError) as fault:
        reason = str(fault) or type(fault).__name__
        raise TridentError(f"{name} cannot be read as an .npz file of plain arrays: {reason}") from None


def _members(archive: zipfile.ZipFile, name: str, size: int) -> dict[str, np.ndarray]:
    members = archive.infolist()
    if len(members) > MEMBERS:
        raise TridentError(f"{name} has {len(members)} members, more than the {MEMBERS} that are read")
    check_room(name, size, sum(member.file_size for member in members))
    arrays: dict[str, np.ndarray] = {}
    for member in members:
        key = member.filename.removesuffix(".npy")
        if key == member.filename:
            raise TridentError(f"{name} is no .npz file: its member {short(key)!r} is not an .npy array")
        if key in arrays:
            raise TridentError(f"{name} has two arrays called {short(key)!r}")
        with archive.open(member) as stream:
            arrays[key] = _array(stream, member.file_size, f"{short(key)!r} of {name}")
    return arrays


def _array(stream: IO[bytes], size: int, name: str) -> np.ndarray:
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise TridentError(f"{name} is of version {version[0]}.{version[1]} of the .npy format; 1.0 and 2.0 are read")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, fortran, kind = read(stream)
    except Exception as fault:  # whatever NumPy's parser makes of a header that is none
        raise TridentError(f"{name} is damaged: its header cannot be read ({type(fault).__name__})") from None
    if kind.kind == "O":
        raise TridentError(
            f"{name} holds Python objects, as NumPy makes of rows of different lengths: give all rows one length"
        )
    if kind.kind not in _KINDS:
        raise TridentError(f"{name} holds {kind}, not numbers")
    wanted = prod(shape) * kind.itemsize
    if kind.kind == "U" and wanted > TEXT:
        raise TridentError(f"{name} is a text of {octets(wanted)}")
    if wanted != size - stream.tell():
        raise TridentError(f"{name} is damaged: its shape {shape} takes {octets(wanted)}, and it has {octets(size)}")
    content = read_whole(stream, wanted, name)
    return np.frombuffer(content, kind).reshape(shape, order="F" if fortran else "C")
