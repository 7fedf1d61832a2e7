"""What a training run needs to go on later as if it had never stopped, in one file, written whole or not at all."""

import json
import os
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trident.hw.errors import TridentError
from trident.snn.network import Tensors

VERSION = 2


@dataclass
class Checkpoint:
    """State of a run at the boundary of a minibatch.

    Attributes
    ----------
    settings
        What the run was started with, as plain values; a run with others must not go on from here.
    progress
        Everything that the trainer counts, as plain values.
    arrays
        Weights and momenta, named as in ``momentum/conv1.weight``: raw bits of core and golden (which are equal), and
        under ``float32`` the floats of the float32 twin.
    """

    settings: dict
    progress: dict
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def save(self, path: Path):
        """Write to a temporary file beside ``path`` and rename it, so that ``path`` is always a whole checkpoint.

        Raises :class:`TridentError` if that is not possible.
        """
        words = json.dumps({"version": VERSION, "settings": self.settings, "progress": self.progress})
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                np.savez(file, words=np.array(words), **self.arrays)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as fault:
            temporary.unlink(missing_ok=True)
            raise TridentError(f"the checkpoint cannot be written to {path}: {fault.strerror}") from None

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read what :meth:`save` wrote. Raises :class:`TridentError` if the file is missing or anything else."""
        if not path.exists():
            raise TridentError(f"there is no checkpoint to resume from at {path}: start the run without resume")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            words = json.loads(str(arrays.pop("words")))
            version, settings, progress = words["version"], words["settings"], words["progress"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error):
            raise TridentError(f"{path} is not a checkpoint of this program, or it is damaged") from None
        if version != VERSION:
            raise TridentError(f"{path} is a checkpoint of version {version}, this program reads version {VERSION}")
        return cls(settings, progress, arrays)

    def tensors(self, prefix: str) -> Tensors:
        """The parameters that :func:`named` put under ``prefix``."""
        return {name[len(prefix) + 1 :]: array for name, array in self.arrays.items() if name.startswith(f"{prefix}/")}

    def check(self, settings: dict, path: Path):
        """Raise :class:`TridentError`, naming the first setting that differs, unless this run may go on from here."""
        for name in {**self.settings, **settings}:
            had, wanted = self.settings.get(name), settings.get(name)
            if had != wanted:
                raise TridentError(f"the run in {path} has {name} {had}, not {wanted}: resume it with what it had")


def named(prefix: str, tensors: Tensors) -> dict[str, np.ndarray]:
    """Parameters as arrays of a checkpoint, under ``prefix``."""
    return {f"{prefix}/{name}": values for name, values in tensors.items()}
