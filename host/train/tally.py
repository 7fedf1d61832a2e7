"""What a model did over some samples: loss, accuracy, and what each class was taken for."""

from dataclasses import dataclass, field

import numpy as np

from trident.snn.losses import MSE, Loss
from trident.snn.readout import predicted


@dataclass
class Tally:
    """What one model did over some samples; plain values, so that a checkpoint holds it.

    loss: a sum over the samples; correct, undecided, silent: samples predicted rightly, those where several classes
    fired most, and of these those where none fired; confusion: by label, how often each class was predicted, and last
    how often none.
    """

    samples: int = 0
    loss: float = 0.0
    correct: int = 0
    undecided: int = 0
    silent: int = 0
    confusion: list[list[int]] = field(default_factory=list)

    def add(
        self, counts: np.ndarray, labels: np.ndarray, most: int, loss: Loss = MSE, wanted: np.ndarray | None = None
    ):
        """Spike counts (N, classes) of samples with these labels; ``most``: that a class can have; ``loss``: what is
        trained for, with soft targets ``wanted`` (N, classes)."""
        classes = counts.shape[1]
        guesses = predicted(counts)
        self.samples += len(labels)
        self.loss += float(loss.values(counts, labels, most, wanted).sum())
        self.correct += int((guesses == labels).sum())
        self.undecided += int((guesses < 0).sum())
        self.silent += int((counts.sum(axis=1) == 0).sum())
        matrix = np.array(self.confusion or np.zeros((classes, classes + 1), np.int64))
        np.add.at(matrix, (labels, guesses), 1)  # the last column is -1: undecided
        self.confusion = matrix.tolist()

    @property
    def mean_loss(self) -> float:
        return self.loss / max(self.samples, 1)

    @property
    def accuracy(self) -> float:
        """Share of the samples that were predicted rightly; undecided ones were not."""
        return self.correct / max(self.samples, 1)

    def share(self, samples: int) -> float:
        """So many of the samples, within 0 to 1."""
        return samples / max(self.samples, 1)

    @property
    def recall(self) -> list[float | None]:
        """By class, the share of its samples that were predicted rightly; None for a class without samples."""
        return [row[label] / sum(row) if sum(row) else None for label, row in enumerate(self.confusion)]
