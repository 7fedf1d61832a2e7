"""Files that are written whole or not at all, and folders that one run has for itself."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trident.hw.errors import TridentError


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, content: str | bytes):
    """Write a file so that it is never seen half written, not even after a crash or on a full disk.

    Raises :class:`TridentError` if it cannot be written; what was there before is then still there.
    """
    octets = content.encode() if isinstance(content, str) else content
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as fault:
        part.unlink(missing_ok=True)
        raise TridentError(f"{path} cannot be written: {fault.strerror}") from None


def check_folder(folder: Path) -> Path:
    """The same folder. Raises :class:`TridentError` if it cannot be made or written to; makes nothing."""
    try:
        place = folder.absolute()
        while not place.exists():
            place = place.parent
        good = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
        reason = "" if good else f"{place} is not a folder that can be written to"
    except OSError as fault:
        reason = fault.strerror or "it is no path"
    if "\0" in str(folder):
        reason = "a path has no NUL"
    if reason:
        raise TridentError(f"nothing can be written to {str(folder)[:200]!r}: {reason}")
    return folder


def make_folder(folder: Path):
    """Make a folder and those above it. Raises :class:`TridentError` if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as fault:  # ValueError: a NUL
        reason = getattr(fault, "strerror", None) or "a path has no NUL"
        raise TridentError(f"the folder {str(folder)[:200]!r} cannot be made: {reason}") from None


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold ``folder``, which is made, for this process; the lock ends with it, however it ends. What a run that was
    killed has left half written is removed.

    Raises :class:`TridentError` if another one has it, or it cannot be made.
    """
    make_folder(folder)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TridentError(f"another run works in {folder}: wait for its end, or choose another folder") from None
        for part in folder.glob("*.part"):  # of a run that was killed while it wrote
            part.unlink(missing_ok=True)
        yield
