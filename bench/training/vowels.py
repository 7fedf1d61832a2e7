"""A recurrent network that tells nine speakers by a vowel, on data of the package aeon where that is installed."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from trident.bench.training.runs import trained
from trident.host.report.figure import Figure
from trident.host.train.golden_run import GoldenRun
from trident.host.train.spec import RunSpec

STEPS = 29  # of the longest sample; others end with zeros
EPOCHS = 25
RUN = {
    "net": "12-64rec-9r", "encoding": "direct",
    "neuron": {"surrogate": "atan:2", "leak": 0.9, "threshold": 1.0, "reset": "soft"},
}  # fmt: skip
TRAIN = {"optimizer": "adam", "learning_rate": 0.005, "schedule": "cosine", "batch": 15}


def read_series(text: str) -> tuple[np.ndarray, np.ndarray]:
    """The samples of a .ts file: float32 (N, STEPS, channels), and the numbers of their classes (N,).

    Behind ``@data`` a line has the values of a channel, with commas, then after a colon those of the next and, last,
    the class, from 1.
    """
    frames, labels = [], []
    for line in text.split("@data", 1)[1].split():
        *channels, label = line.split(":")
        values = np.array([channel.split(",") for channel in channels], np.float32).T
        frames.append(np.zeros((STEPS, len(channels)), np.float32))
        frames[-1][: len(values)] = values
        labels.append(int(label) - 1)
    return np.stack(frames), np.array(labels)


def measure_vowels(only: str) -> Iterator[Figure]:
    """The test's accuracy of golden after a whole run, and what differs from it after an epoch on the RTL; none where
    aeon is not installed."""
    package = find_spec("aeon")
    if package is None or package.origin is None:
        return
    source = Path(package.origin).parent / "datasets" / "data" / "JapaneseVowels"
    with TemporaryDirectory() as scratch:
        data, arrays = Path(scratch, "vowels.npz"), {}
        for part, prefix in (("TRAIN", ""), ("TEST", "test_")):
            frames, labels = read_series((source / f"JapaneseVowels_{part}.ts").read_text())
            arrays |= {f"{prefix}frames": frames, f"{prefix}labels": labels}
        np.savez(data, **arrays)
        spec = RunSpec.make(str(data), train=TRAIN | {"epochs": EPOCHS}, **RUN)
        golden = GoldenRun(spec, Path(scratch, "golden.npz"))
        golden.run(lambda *_: None)
        accuracy = golden.progress.history[-1]["test_accuracy"]
        yield Figure("train.vowels.test_accuracy", "fraction", accuracy, "higher")
        _, differing = trained(RunSpec.make(str(data), train=TRAIN | {"epochs": 1}, **RUN))
    yield Figure("train.vowels.bits_differing", "values", differing, "lower", 0)
