"""Folders of event recordings, a folder for each class, as event counts of every timestep."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from os.path import isdir
from pathlib import Path

import numpy as np

from trident.hw.errors import TridentError
from trident.snn.data.events import PIXELS, bin_events, read_recording
from trident.snn.data.reading import entries, memory_share, octets, short

PARTS = {"train": "", "test": "test_"}  # by the name of a folder, in any case: what names of arrays begin with
LONGEST_BIN = 1 << 32  # microseconds, those that AEDAT has


@dataclass(frozen=True)
class EventCounts:
    """Recordings as counts.

    arrays: ``counts`` uint8 (N, T, Y, X, 2), ``labels`` int64 (N,), where there is a test part ``test_counts`` and
    ``test_labels``, and ``classes``; bin_us: microseconds of a timestep; left_out: share of the events that come after
    the last timestep.
    """

    arrays: dict[str, np.ndarray]
    bin_us: int
    left_out: float


def holds_recordings(folders: Iterable[Path]) -> bool:
    """Whether any of these folders is that of a part, or holds recordings itself."""
    return any(folder.name.lower() in PARTS or any(map(_is_recording, entries(folder))) for folder in folders)


def read_event_folder(folder: Path, folders: list[Path], timesteps: int, bin_us: int | None = None) -> EventCounts:
    """Read the recordings of a folder, whose folders are the parts ``Train`` and ``Test`` with a folder for each class,
    or the classes themselves.

    The classes are the names of their folders in either part, sorted, as numbers where all of them are.
    ``bin_us``: microseconds of a timestep, 1 to 2**32; without it the fewest with which ``timesteps`` cover the longest
    recording. Raises :class:`TridentError`, naming file or folder and fault, for folders without recordings, recordings
    of two formats, counts that take more than a quarter of the memory, and as :func:`read_recording`.
    """
    if bin_us is not None and not (isinstance(bin_us, int) and 1 <= bin_us <= LONGEST_BIN):
        raise TridentError(f"bin_us must be a whole number of microseconds from 1 to {LONGEST_BIN}, not {bin_us!r}")
    parts = _parts(folder, folders)
    every = [path for classes in parts.values() for paths in classes.values() for path in paths]
    pixels = _pixels(every)
    values = len(every) * timesteps * prod(pixels) * 2
    if values > memory_share():
        raise TridentError(
            f"the {len(every)} recordings of {short(str(folder))} take {octets(values)} with {timesteps} timesteps, "
            f"more than the {octets(memory_share())} that they may take"
        )
    if bin_us is None:
        bin_us = (max(read_recording(path).duration for path in every) - 1) // timesteps + 1
    names = sorted({name for classes in parts.values() for name in classes}, key=_order(parts))
    arrays, events, kept = {"classes": np.array(len(names))}, 0, 0
    for prefix, classes in parts.items():
        samples = [(path, names.index(name)) for name, paths in classes.items() for path in paths]
        counts = np.empty((len(samples), timesteps, *pixels, 2), np.uint8)
        for sample, (path, _) in enumerate(samples):
            recording = read_recording(path)
            counts[sample] = bin_events(recording, timesteps, bin_us, pixels)
            events += len(recording.time)
            kept += int(np.searchsorted(recording.time, timesteps * bin_us))
        arrays |= {f"{prefix}counts": counts, f"{prefix}labels": np.array([label for _, label in samples], np.int64)}
    return EventCounts(arrays, bin_us, 1 - kept / events)


def _parts(folder: Path, folders: list[Path]) -> dict[str, dict[str, list[Path]]]:
    """Paths of recordings by what names of arrays begin with, and by class."""
    given: dict[str, Path] = {}
    for path in folders:
        if (part := path.name.lower()) in PARTS:
            if part in given:
                raise TridentError(f"{short(str(folder))} holds both {given[part].name} and {path.name}")
            given[part] = path
    if not given:
        return {"": _classes(folder, folders)}
    if "train" not in given:
        raise TridentError(f"{short(str(folder))} holds {given['test'].name} but no folder Train")
    return {PARTS[part]: _classes(path, list(filter(isdir, entries(path)))) for part, path in given.items()}


def _classes(part: Path, folders: list[Path]) -> dict[str, list[Path]]:
    if not folders:
        raise TridentError(f"{short(str(part))} has no folder of recordings for each class")
    found = {folder.name: [path for path in entries(folder) if _is_recording(path)] for folder in folders}
    for folder in folders:
        if not found[folder.name]:
            raise TridentError(f"{short(str(folder))} holds no recordings, which are {' or '.join(PIXELS)} files")
    return found


def _order(parts: dict[str, dict[str, list[Path]]]):
    """The key that names of classes are sorted by."""
    numbered = all(name.isascii() and name.isdigit() for classes in parts.values() for name in classes)
    return (lambda name: (int(name), name)) if numbered else str


def _pixels(paths: list[Path]) -> tuple[int, int]:
    """Rows and columns of the camera that all recordings are of."""
    first = {path.suffix.lower(): path for path in reversed(paths)}
    if len(first) > 1:
        one, other = (short(str(path)) for _, path in sorted(first.items()))
        raise TridentError(f"recordings must be of one format, but {one} and {other} are of two")
    return PIXELS[next(iter(first))]


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in PIXELS
