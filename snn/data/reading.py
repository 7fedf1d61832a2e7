"""Files and folders that others wrote: what they are, and as much of them as they declare, read within limits."""

import os
import stat
from io import BufferedIOBase
from pathlib import Path
from typing import IO

from trident.hw.errors import TridentError

SMALL = 1 << 28  # bytes that any file may expand to
EXPANSION = 300  # times its size that a larger one may expand to
PART = 1 << 20  # bytes that are read at a time
SHARE = 4  # part of the memory, one in so many, that a data set's arrays may take


def regular_file(path: Path, what: str) -> int:
    """The size in bytes of a file. Raises :class:`TridentError`, in which ``what`` says what it should be, for anything
    but a regular file that can be read."""
    name = str(path)
    try:
        state = path.stat()
    except FileNotFoundError:
        raise TridentError(f"{short(name)} does not exist: give {what}") from None
    except (OSError, ValueError) as fault:  # ValueError: a NUL
        reason = getattr(fault, "strerror", None) or "a path has no NUL"
        raise TridentError(f"{short(name)} cannot be read: {reason}; give {what}") from None
    if not stat.S_ISREG(state.st_mode):
        kind = "a folder" if stat.S_ISDIR(state.st_mode) else "neither a file nor a folder"
        raise TridentError(f"{short(name)} is {kind}: give {what}")
    return state.st_size


def entries(folder: Path) -> list[Path]:
    """What a folder holds, sorted by name, without hidden files. Raises :class:`TridentError` where that cannot be
    read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as fault:
        raise TridentError(f"the folder {short(str(folder))} cannot be read: {fault.strerror}") from None


def check_room(name: str, size: int, declared: int):
    """Refuse what a file of ``size`` bytes declares to hold, in bytes, where that is more than a quarter of the memory,
    or more than 300 times the file where it is above 256 MiB: :class:`TridentError`."""
    memory = memory_share()
    if declared > memory:
        raise TridentError(f"{name} expands to {octets(declared)}, more than the {octets(memory)} that it may take")
    if declared > max(SMALL, EXPANSION * size):
        raise TridentError(f"{name} has {octets(size)} and expands to {octets(declared)}: no data compress that well")


def memory_share() -> int:
    """Bytes that the arrays of a data set may take: a quarter of the memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE


def read_whole(stream: IO[bytes] | BufferedIOBase, wanted: int, name: str) -> bytearray:
    """The rest of a stream, which must be ``wanted`` bytes; no more than that is kept, whatever the stream goes on to.

    Raises :class:`TridentError` for a stream that has fewer or more.
    """
    content = bytearray()
    while part := stream.read(min(PART, wanted + 1 - len(content))):
        content += part
    if len(content) > wanted:
        raise TridentError(f"{name} is damaged: it goes on after the {octets(wanted)} that it declares")
    if len(content) < wanted:
        raise TridentError(f"{name} is damaged: {octets(len(content))} of {octets(wanted)} are there")
    return content


def octets(count: int) -> str:
    """A number of bytes in words."""
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while count >= 10_000 and len(units) > 1:
        count //= 1024
        units.pop(0)
    return f"{count} {units[0]}"


def short(text: str) -> str:
    """A name that fits into a sentence, on one line."""
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= 200 else f"{text[:90]}…{text[-90:]}"
