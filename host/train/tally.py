"""What a model did over some samples: loss and accuracy."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Tally:
    """What one model did over some samples; ``loss`` is a sum over the samples."""

    samples: int = 0
    loss: float = 0.0
    correct: int = 0

    def add(self, counts: np.ndarray, labels: np.ndarray, steps: int):
        """Spike counts (N, classes) of samples with these labels; the lowest class wins a tie."""
        onehot = np.arange(counts.shape[1]) == labels[:, None]
        self.samples += len(labels)
        self.loss += float(np.square(counts / steps - onehot).mean(axis=1).sum())
        self.correct += int((counts.argmax(axis=1) == labels).sum())

    @property
    def mean_loss(self) -> float:
        return self.loss / max(self.samples, 1)

    @property
    def accuracy(self) -> float:
        return self.correct / max(self.samples, 1)
