"""What a training run needs to go on later as if it had never stopped, in one file, written whole or not at all."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from trident.hw.errors import TridentError
from trident.hw.files import write_whole
from trident.snn.data.npz import read_arrays
from trident.snn.network.network import Tensors

VERSION = 4
TRAINING, GOLDEN, FEDERATED = "training", "golden", "federated"
Values = TypeVar("Values")


@dataclass
class Checkpoint:
    """State of a run at the boundary of a minibatch.

    Attributes
    ----------
    settings
        What the run was started with, as plain values; a run with others must not go on from here.
    progress
        Everything that the run counts, as plain values.
    kind
        Of which kind of run: training, golden (alone) or federated.
    arrays
        Weights and momenta, named as in ``momentum/conv1.weight``: raw bits of core and golden (which are equal), and
        under ``float32`` the floats of the float32 twin.
    """

    settings: dict
    progress: dict
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    kind: str = TRAINING

    def save(self, path: Path):
        """Write to ``path``, which is always a whole checkpoint. Raises :class:`TridentError` if that cannot be."""
        words = {"version": VERSION, "kind": self.kind, "settings": self.settings, "progress": self.progress}
        stream = io.BytesIO()
        np.savez(stream, words=np.array(json.dumps(words)), **self.arrays)
        write_whole(path, stream.getvalue())

    @classmethod
    def load(cls, path: Path, kind: str = TRAINING, *others: str) -> "Checkpoint":
        """Read what :meth:`save` wrote, of a run of this kind, or of others. Raises :class:`TridentError` for anything
        else."""
        if not path.exists():
            raise TridentError(f"there is no checkpoint to resume from at {path}: start the run without resume")
        try:
            arrays = read_arrays(path, "a checkpoint")
            words = json.loads(str(arrays.pop("words")))
            found = words["version"], words["kind"]
            settings, progress = words["settings"], words["progress"]
            if not isinstance(settings, dict) or not isinstance(progress, dict):
                raise TypeError
        except TridentError as fault:
            raise TridentError(f"{path} is not a checkpoint of this program, or it is damaged: {fault}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise TridentError(f"{path} is not a checkpoint of this program, or it is damaged") from None
        if found[0] != VERSION:
            raise TridentError(f"{path} is a checkpoint of version {found[0]}, this program reads version {VERSION}")
        if found[1] not in (kind, *others):
            wanted = " or ".join((kind, *others))
            raise TridentError(f"{path} is the checkpoint of a {found[1]} run, not of a {wanted} one")
        return cls(settings, progress, arrays, found[1])

    def tensors(self, prefix: str) -> Tensors:
        """The parameters that :func:`named` put under ``prefix``."""
        return {name[len(prefix) + 1 :]: array for name, array in self.arrays.items() if name.startswith(f"{prefix}/")}

    def check(self, settings: dict, path: Path):
        """Raise :class:`TridentError`, naming the first setting that differs, unless this run may go on from here."""
        for name in {**self.settings, **settings}:
            had, wanted = self.settings.get(name), settings.get(name)
            if had != wanted:
                raise TridentError(f"the run in {path} has {name} {had}, not {wanted}: resume it with what it had")


def fill(kind: type[Values], values: Any, where: str) -> Values:
    """A dataclass with these values as its fields. Raises :class:`TridentError`, naming the first that is not of the
    type or within the range that the dataclass says; ``where``: what has the values."""
    if not isinstance(values, dict) or set(values) - set(kind.__annotations__):
        raise TridentError(f"{where} is damaged: its {kind.__name__.lower()} has other fields than it should")
    try:
        return TypeAdapter(kind).validate_json(json.dumps(values), strict=True)
    except ValidationError as fault:
        first = fault.errors()[0]
        place, given = ".".join(map(str, first["loc"])), str(first["input"])[:40]
        raise TridentError(f"{where} is damaged: {place} is {given!r}; {first['msg'].lower()}") from None


def check_progress(parts: dict[str, bool], done: int, asked: int, where: str):
    """Raise :class:`TridentError` unless all parts of a run's progress, by name, are as they can be, and no more epochs
    are done than are asked for."""
    for name, good in parts.items():
        if not good:
            raise TridentError(f"{where} is damaged: its {name} is not that of such a run")
    if done > asked:
        raise TridentError(f"the run in {where} has done {done} epochs already: ask for at least as many, not {asked}")


def check_tensors(found: Tensors, expected: Tensors, where: str):
    """Raise :class:`TridentError` unless both have the same names, types and shapes."""
    for name in sorted({*found, *expected}):
        ours, theirs = (
            (str(tensors[name].dtype), tensors[name].shape) if name in tensors else None
            for tensors in (found, expected)
        )
        if ours != theirs:
            raise TridentError(f"{where} is damaged: {name} is {_kind(ours)}, and should be {_kind(theirs)}")


def _kind(of: tuple[str, tuple[int, ...]] | None) -> str:
    return f"{of[0]} of shape {of[1]}" if of else "missing"


def named(prefix: str, tensors: Tensors) -> dict[str, np.ndarray]:
    """Parameters as arrays of a checkpoint, under ``prefix``."""
    return {f"{prefix}/{name}": values for name, values in tensors.items()}
