"""Folders that are kept because they take long to make: found whole, or made again."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from trident.hw.errors import TridentError
from trident.hw.files import file_digest, write_whole

RECORD = "whole.json"  # of a folder: its files and what is in them


def kept_folder(folder: Path, make: Callable[[Path], None]) -> Path:
    """``folder``, which ``make`` has filled; made again if a file of it is missing or not as it was.

    ``make`` works in a folder of its own beside it, which takes its place when all is done. A process that wants the
    same waits for the one that makes it. What processes left that have died is removed. Raises :class:`TridentError` if
    the place cannot be written to, and what ``make`` raises.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not _whole(folder):
                _make(folder, make)
    except OSError as fault:
        raise TridentError(
            f"{fault.filename or folder} cannot be written: {fault.strerror}; TRIDENT_CACHE names another place for "
            f"what is kept"
        ) from None
    return folder


def _whole(folder: Path) -> bool:
    try:
        files = json.loads((folder / RECORD).read_text())
        return bool(files) and all(file_digest(folder / name) == digest for name, digest in files.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _make(folder: Path, make: Callable[[Path], None]):
    _sweep(folder.parent)
    work = folder.with_name(f"{folder.name}.{os.getpid()}.work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        make(work)
        files = {str(path.relative_to(work)): file_digest(path) for path in sorted(work.rglob("*")) if path.is_file()}
        write_whole(work / RECORD, json.dumps(files, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _sweep(place: Path):
    """Remove the work of processes that are no more."""
    for work in place.glob("*.work"):
        owner = re.fullmatch(r".*\.(\d+)\.work", work.name)
        if owner and not _alive(int(owner[1])):
            shutil.rmtree(work, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
