"""Files of arrays that others wrote: .npz files, read within limits, whatever is in them."""

import os
import stat
import zipfile
import zlib
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from trident.hw.errors import TridentError

MEMBERS = 10_000  # of a file
TEXT = 1 << 20  # bytes of an array that is a text
SMALL = 1 << 28  # bytes that any file may expand to
EXPANSION = 300  # times its size that a larger one may expand to
PART = 1 << 20  # bytes that are read at a time
SHARE = 4  # part of the memory, one in so many, that a file's arrays may take
_KINDS = "biufU"  # bool, whole numbers, floats, text


def regular_file(path: Path, what: str) -> int:
    """The size in bytes of a file. Raises :class:`TridentError`, in which ``what`` says what it should be, for anything
    but a regular file that can be read."""
    name = str(path)
    try:
        state = path.stat()
    except FileNotFoundError:
        raise TridentError(f"{_short(name)} does not exist: give {what}") from None
    except (OSError, ValueError) as fault:  # ValueError: a NUL
        reason = getattr(fault, "strerror", None) or "a path has no NUL"
        raise TridentError(f"{_short(name)} cannot be read: {reason}; give {what}") from None
    if not stat.S_ISREG(state.st_mode):
        kind = "a folder" if stat.S_ISDIR(state.st_mode) else "neither a file nor a folder"
        raise TridentError(f"{_short(name)} is {kind}: give {what}")
    return state.st_size


def read_arrays(path: Path, what: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name: bool, whole numbers, floats and texts.

    Nothing is read before it is known to be within limits: each member's header must agree with its declared size, all
    together take at most a quarter of the memory, and no more than 300 times the file's size where that is above 256
    MiB. Raises :class:`TridentError`, naming file, member and fault, for anything else; ``what`` says what was wanted.
    """
    size = regular_file(path, what)
    name = _short(str(path))
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
    declared = sum(member.file_size for member in members)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE
    if declared > memory:
        raise TridentError(f"{name} expands to {_octets(declared)}, more than the {_octets(memory)} that it may take")
    if declared > max(SMALL, EXPANSION * size):
        raise TridentError(f"{name} has {_octets(size)} and expands to {_octets(declared)}: no data compress that well")
    arrays: dict[str, np.ndarray] = {}
    for member in members:
        key = member.filename.removesuffix(".npy")
        if key == member.filename:
            raise TridentError(f"{name} is no .npz file: its member {_short(key)!r} is not an .npy array")
        if key in arrays:
            raise TridentError(f"{name} has two arrays called {_short(key)!r}")
        with archive.open(member) as stream:
            arrays[key] = _array(stream, member.file_size, f"{_short(key)!r} of {name}")
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
        raise TridentError(f"{name} is a text of {_octets(wanted)}")
    if wanted != size - stream.tell():
        raise TridentError(f"{name} is damaged: its shape {shape} takes {_octets(wanted)}, and it has {_octets(size)}")
    content = bytearray()
    while part := stream.read(min(PART, wanted + 1 - len(content))):
        content += part
    if len(content) != wanted:
        raise TridentError(f"{name} is damaged: {_octets(len(content))} of {_octets(wanted)} are there")
    return np.frombuffer(content, kind).reshape(shape, order="F" if fortran else "C")


def _octets(count: int) -> str:
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while count >= 10_000 and len(units) > 1:
        count //= 1024
        units.pop(0)
    return f"{count} {units[0]}"


def _short(text: str) -> str:
    """A name that fits into a sentence, on one line."""
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= 200 else f"{text[:90]}…{text[-90:]}"
