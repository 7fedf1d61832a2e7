"""Recordings of event cameras: N-MNIST's binary files and AEDAT 2.0 of a DVS128, and their events by timesteps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trident.hw.errors import TridentError
from trident.snn.data.reading import octets, read_whole, regular_file, short

PIXELS = {".bin": (34, 34), ".aedat": (128, 128)}  # rows and columns of the camera, by the suffix of its files
LARGEST = 1 << 28  # bytes of a recording
HEADER = 1 << 20  # bytes of the lines that an AEDAT file begins with
MOST = 255  # events that are counted in one place and timestep
_OVERFLOW, _STEP = 240, 1 << 13  # y of an event that only says that time, in µs, goes on by a step
_EXTERNAL = 1 << 15  # the bit of an address that is an input of the camera, not a pixel


@dataclass(frozen=True)
class Recording:
    """Events in the order of time, one or more.

    x, y, polarity: uint8 (E,), column, row, and 1 or 0 for the polarity bit; time: int64 (E,), microseconds since the
    first event.
    """

    x: np.ndarray
    y: np.ndarray
    polarity: np.ndarray
    time: np.ndarray

    @property
    def duration(self) -> int:
        """Microseconds from the first event to the last, both included."""
        return int(self.time[-1]) + 1


def read_recording(path: Path) -> Recording:
    """The events of a file, by its suffix: ``.bin``, 5 bytes an event, as N-MNIST has them, or ``.aedat``, AEDAT 2.0 of
    a DVS128, of which events that are no pixel's are left out.

    Raises :class:`TridentError`, naming file, fault and where it helps the number of the event from 1 on, for a file
    that is too large, cut short or something else, events outside the camera's pixels, timestamps that wrap or go
    backwards, and no events.
    """
    size = regular_file(path, "a recording")
    name = short(str(path))
    if size > LARGEST:
        raise TridentError(f"{name} has {octets(size)}, more than the {octets(LARGEST)} that a recording may have")
    try:
        with path.open("rb") as file:
            content = read_whole(file, size, name)
    except OSError as fault:
        raise TridentError(f"{name} cannot be read: {fault.strerror}") from None
    return _aedat(content, name) if path.suffix.lower() == ".aedat" else _nmnist(content, name)


def bin_events(recording: Recording, timesteps: int, bin_us: int, pixels: tuple[int, int]) -> np.ndarray:
    """Count events by timestep, pixel and polarity: uint8 (timesteps, Y, X, 2), at most 255.

    Timestep t has the events from ``t * bin_us`` microseconds on, the first event being at 0; those after the last
    timestep are left out. ``pixels``: (Y, X).
    """
    rows, columns = pixels
    end = np.searchsorted(recording.time, timesteps * bin_us)
    step, y = recording.time[:end] // bin_us, recording.y[:end].astype(np.int64)
    place = ((step * rows + y) * columns + recording.x[:end]) * 2 + recording.polarity[:end]
    places, counts = np.unique(place, return_counts=True)
    binned = np.zeros((timesteps, rows, columns, 2), np.uint8)
    binned.reshape(-1)[places] = np.minimum(counts, MOST)
    return binned


def _nmnist(content: bytearray, name: str) -> Recording:
    if len(content) % 5:
        raise TridentError(f"{name} is cut short: {len(content)} bytes are no whole number of events of 5 bytes")
    events = np.frombuffer(content, np.uint8).reshape(-1, 5)
    x, y, high = events[:, 0], events[:, 1], events[:, 2]
    time = (high & 0x7F).astype(np.int64) << 16 | events[:, 3].astype(np.int64) << 8 | events[:, 4]
    overflow = y == _OVERFLOW
    time += _STEP * np.cumsum(overflow)
    rows, columns = PIXELS[".bin"]
    outside = np.flatnonzero(((x >= columns) | (y >= rows)) & ~overflow)
    if outside.size:
        first = outside[0]
        raise TridentError(
            f"event {first + 1} of {name} is at x {x[first]}, y {y[first]}, outside N-MNIST's {columns}x{rows} pixels"
        )
    return _recording(x, y, high >> 7, time, np.flatnonzero(~overflow), 1 << 23, name)


def _aedat(content: bytearray, name: str) -> Recording:
    start = _header_end(content, name)
    if (len(content) - start) % 8:
        raise TridentError(
            f"{name} is cut short: {len(content) - start} bytes behind its header are no whole number of events of 8 "
            f"bytes"
        )
    events = np.frombuffer(content, np.uint8)[start:].view(">u4").reshape(-1, 2)
    address, time = events[:, 0].astype(np.uint32), events[:, 1].astype(np.int64)
    other = np.flatnonzero(address >> 16)
    if other.size:
        first = other[0]
        raise TridentError(f"event {first + 1} of {name} has the address {address[first]:#x}, which no DVS128 has")
    x, y = (address >> 1 & 0x7F).astype(np.uint8), (address >> 8 & 0x7F).astype(np.uint8)
    pixel = np.flatnonzero(address & _EXTERNAL == 0)
    return _recording(x, y, (address & 1).astype(np.uint8), time, pixel, 1 << 32, name)


def _header_end(content: bytearray, name: str) -> int:
    """Where the events of an AEDAT file begin."""
    magic = b"#!AER-DAT"
    if not content.startswith(magic):
        raise TridentError(f"{name} is no AEDAT file: it does not begin with {magic.decode()}2.0")
    version = content[len(magic) :].split(b"\n", 1)[0][:10].strip()
    if version != b"2.0":
        raise TridentError(f"{name} is of version {short(version.decode('latin-1'))} of AEDAT; 2.0 is read")
    start = 0
    while content[start : start + 1] == b"#":
        end = content.find(b"\n", start, HEADER)
        if end < 0:
            raise TridentError(f"{name} is damaged: its header does not end within {octets(min(len(content), HEADER))}")
        start = end + 1
    return start


def _recording(
    x: np.ndarray, y: np.ndarray, polarity: np.ndarray, time: np.ndarray, chosen: np.ndarray, span: int, name: str
) -> Recording:
    """The chosen events, whose numbers ascend; ``span``: microseconds after which timestamps begin again."""
    if not chosen.size:
        raise TridentError(f"{name} holds no events")
    time = time[chosen]
    falls = np.flatnonzero(time[1:] < time[:-1])
    if falls.size:
        first = falls[0]
        fault = "wrap" if time[first] - time[first + 1] > span // 2 else "go backwards"
        raise TridentError(
            f"the timestamps of {name} {fault} at event {chosen[first + 1] + 1}: from {time[first]} to "
            f"{time[first + 1]} µs"
        )
    return Recording(x[chosen], y[chosen], polarity[chosen], time - time[0])
