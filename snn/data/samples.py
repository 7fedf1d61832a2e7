"""Arrays of samples and labels as they are in files: what they mean, and what is wrong with them."""

import numpy as np

from trident.hw.errors import TridentError

LARGEST_LABEL = 2**31 - 1
MOST_CLASSES = 1 << 16  # a chip is told a label in 16 bits
SHAPES = {
    "images": "(N, F), (N, Y, X) or (N, Y, X, C)",
    "spikes": "(N, T, F), (N, T, Y, X) or (N, T, Y, X, C)",
    "frames": "(N, T, F), (N, T, Y, X) or (N, T, Y, X, C)",
}


def samples(name: str, key: str, values: np.ndarray) -> np.ndarray:
    """Images as (N, Y, X, C), spikes and frames as (N, T, Y, X, C), not yet scaled; ``key`` ends in what they are.

    Raises :class:`TridentError` for another shape, and for values that are not finite or, in spikes, not 0 and 1.
    """
    kind = next(kind for kind in SHAPES if key.endswith(kind))
    lead = 1 if kind == "images" else 2
    if values.dtype.kind not in "fiub":
        raise TridentError(f"{key} of {name} must be real numbers, not {values.dtype}")
    if not lead + 1 <= values.ndim <= lead + 3:
        raise TridentError(f"{key} of {name} must be {SHAPES[kind]}, not of shape {values.shape}")
    if values.size == 0:
        raise TridentError(f"{key} of {name} is empty: its shape is {values.shape}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise TridentError(f"{key} of {name} contains NaN or infinity")
    if kind == "spikes" and not _binary(values):
        whole = values.min() >= 0 and (values == np.round(values)).all()
        advice = "; counts of events are given as frames, with ENCODING=direct, or cut to 1" if whole else ""
        raise TridentError(f"{key} of {name} must be 0 or 1, but range from {values.min()} to {values.max()}{advice}")
    sizes = values.shape[lead:]
    shape = (1, 1, *sizes) if len(sizes) == 1 else sizes if len(sizes) == 3 else (*sizes, 1)
    values = values.reshape(*values.shape[:lead], *shape)
    return values.astype(np.uint8, copy=False) if kind == "spikes" else values


def labels(name: str, key: str, values: np.ndarray) -> np.ndarray:
    """Labels as int64 (N,): from whole numbers of any type, booleans, a column of these, or one-hot rows.

    Raises :class:`TridentError`, saying which labels there are, for anything else.
    """
    if values.size == 0:
        raise TridentError(f"{key} of {name} is empty")
    if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
        raise TridentError(
            f"{key} of {name} must be a whole number for each sample, or one-hot rows, not {values.dtype} of shape "
            f"{values.shape}"
        )
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.round(values)).all()):
        raise TridentError(f"{key} of {name} must be whole numbers; there are {_listed(values)}")
    if values.ndim == 2 and values.shape[1] > 1:
        if not (np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()):
            raise TridentError(f"{key} of {name} of shape {values.shape} must be one-hot: a single 1 in each row")
        return values.argmax(axis=1).astype(np.int64)
    values = values.reshape(-1)
    if values.min() < 0 or values.max() > LARGEST_LABEL:
        raise TridentError(f"{key} of {name} must be from 0 to {LARGEST_LABEL}; there are {_listed(values)}")
    return values.astype(np.int64)


def classes(name: str, stated: np.ndarray | None, every: np.ndarray) -> int:
    """How many classes there are: what the file states, or as many as labels, which must then be 0, 1, 2 and so on.

    every: the labels of both parts. Raises :class:`TridentError` for labels with gaps, or beyond what is stated.
    """
    present = np.unique(every)
    if stated is None:
        if present[-1] >= len(present):
            raise TridentError(
                f"{name} has the labels {_listed(present)}: number the classes 0 to {len(present) - 1}, or put their "
                f"number into the file as classes"
            )
        return len(present)
    if stated.shape != () or stated.dtype.kind not in "iu" or stated < 1:
        raise TridentError(f"classes of {name} must be one integer of at least 1, not {stated.tolist()!r}")
    if stated > MOST_CLASSES:
        raise TridentError(f"classes of {name} must be at most {MOST_CLASSES:,}, not {stated:,}")
    if present[-1] >= stated:
        raise TridentError(f"{name} has a label {present[-1]}, outside the {stated} classes (0 to {int(stated) - 1})")
    return int(stated)


def teacher(name: str, values: np.ndarray, count: int, number: int) -> np.ndarray:
    """A teacher's logits as float64 (N, classes), for ``count`` samples of so many classes.

    Raises :class:`TridentError` for another shape, and for what is not finite.
    """
    if values.dtype.kind not in "fiu":
        raise TridentError(f"teacher of {name} must be real numbers, not {values.dtype}")
    if values.shape != (count, number):
        raise TridentError(
            f"teacher of {name} must be logits of shape {(count, number)}, a row for each sample with labels and a "
            f"column for each class, not {values.shape}"
        )
    if not np.isfinite(values).all():
        raise TridentError(f"teacher of {name} contains NaN or infinity")
    return values.astype(np.float64)


def _binary(values: np.ndarray) -> bool:
    """Whether all are 0 or 1; of whole numbers without an array of what is compared, as spikes may fill the memory."""
    if values.dtype.kind == "f":
        return bool(((values == 0) | (values == 1)).all())
    return bool(values.min() >= 0 and values.max() <= 1)


def _listed(values: np.ndarray) -> str:
    """The values that occur, in ascending order; of many only the ends."""
    found = [str(value) for value in np.unique(values).tolist()]
    return ", ".join(found) if len(found) <= 12 else f"{', '.join(found[:6])} ... {', '.join(found[-3:])}"
