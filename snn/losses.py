"""What training makes small: a function of how often the classes fired and of the label."""

from dataclasses import dataclass

import numpy as np

LOSSES = ("mse", "count-mse", "cross-entropy", "rate-cross-entropy")


@dataclass(frozen=True)
class Loss:
    """A loss of spike counts (N, classes) and labels (N,).

    name: mse, the mean over the classes of (count / T - wanted)**2, or the cross-entropy of wanted and the softmax of
    the counts (cross-entropy) or of count / T (rate-cross-entropy). other, label: what is wanted of every other class,
    and of the label's.
    """

    name: str = "mse"
    other: float = 0.0
    label: float = 1.0

    @property
    def softmax(self) -> bool:
        """Whether the error of a class depends on all classes."""
        return self.name.endswith("cross-entropy")

    def per_spike(self, steps: int) -> float:
        """What a spike adds to the argument of the softmax."""
        return 1 / steps if self.name.startswith("rate") else 1.0

    def wanted(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """(N, classes)."""
        return np.where(np.arange(classes) == np.asarray(labels)[:, None], self.label, self.other)

    def values(self, counts: np.ndarray, labels: np.ndarray, steps: int) -> np.ndarray:
        """The loss of every sample, (N,)."""
        wanted = self.wanted(labels, counts.shape[1])
        if not self.softmax:
            return np.square(counts / steps - wanted).mean(axis=1)
        logits = counts * self.per_spike(steps)
        logits = logits - logits.max(axis=1, keepdims=True)
        return (wanted * (np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits)).sum(axis=1)

    def errors(self, counts: np.ndarray, labels: np.ndarray, steps: int) -> np.ndarray:
        """The derivative of each sample's loss by a spike of each class, (N, classes)."""
        classes = counts.shape[1]
        wanted = self.wanted(labels, classes)
        if not self.softmax:
            return 2 * (counts / steps - wanted) / (classes * steps)
        logits = counts * self.per_spike(steps)
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (share / share.sum(axis=1, keepdims=True) - wanted) * self.per_spike(steps)


MSE = Loss()
