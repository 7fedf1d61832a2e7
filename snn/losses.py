"""What training makes small: a function of how often the classes fired and of the label.

A class whose voters are several neurons has fired as often as they have together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trident.hw.errors import TridentError


@dataclass(frozen=True)
class PerClass:
    """A loss that every class has by itself, a function of how far its firing rate is above what is wanted of it: its
    value, and its derivative."""

    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


PER_CLASS = {"mse": PerClass(np.square, lambda off: 2 * off)}
SOFTMAX = ("cross-entropy", "rate-cross-entropy")
MEMBRANE, STEPS = "membrane-cross-entropy", "step-cross-entropy"
OF_READOUTS = (MEMBRANE, STEPS)


@dataclass(frozen=True)
class Loss:
    """A loss of outputs (N, classes), spike counts or what readouts say, and labels (N,). Its methods are told the
    ``most`` spikes that a class can have: T, times its voters.

    name: one of :data:`PER_CLASS`, the mean over the classes; or the cross-entropy of wanted and the softmax of the
    counts (cross-entropy), of count / most (rate-cross-entropy) or of readouts (membrane-cross-entropy); or the
    mean over time of that of their potentials (step-cross-entropy, Deng et al., arXiv 2202.11946), of which values
    and errors here are of one timestep. other, label: what is wanted of every other class, and of the label's.
    weights: by class, what the loss of a sample with that label is multiplied by; empty for 1. Nothing is divided
    by the sum of the weights, so the loss of a minibatch is the mean over its samples of weight times loss.
    """

    name: str = "mse"
    other: float = 0.0
    label: float = 1.0
    weights: tuple[float, ...] = ()

    @property
    def softmax(self) -> bool:
        """Whether the error of a class depends on all classes."""
        return self.unit != "table"

    @property
    def unit(self) -> str:
        """The loss unit that a core must have, one of :data:`trident.hw.isa.losses.LOSSES`."""
        units = {MEMBRANE: "membrane", STEPS: "steps"} | dict.fromkeys(SOFTMAX, "softmax")
        return units.get(self.name, "table")

    @property
    def by_step(self) -> bool:
        """It is of every timestep by itself."""
        return self.name == STEPS

    def per_spike(self, most: int) -> float:
        """What a spike adds to the argument of the softmax."""
        return 1 / most if self.name.startswith("rate") else 1.0

    def wanted(self, labels: np.ndarray, classes: int) -> np.ndarray:
        """(N, classes)."""
        return np.where(np.arange(classes) == np.asarray(labels)[:, None], self.label, self.other)

    def _weights(self, labels: np.ndarray) -> np.ndarray | float:
        """Of samples with these labels, (N,); 1 for all of them."""
        return np.array(self.weights)[labels] if self.weights else 1.0

    def values(
        self, counts: np.ndarray, labels: np.ndarray, most: int, soft: np.ndarray | None = None
    ) -> np.ndarray:
        """The loss of every sample, (N,); ``soft``: what is wanted of each class, (N, classes), whatever the labels."""
        wanted, weights = self.wanted(labels, counts.shape[1]) if soft is None else soft, self._weights(labels)
        if not self.softmax:
            return PER_CLASS[self.name].value(counts / most - wanted).mean(axis=1) * weights
        logits = counts * self.per_spike(most)
        logits = logits - logits.max(axis=1, keepdims=True)
        return (wanted * (np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits)).sum(axis=1) * weights

    def errors(
        self, counts: np.ndarray, labels: np.ndarray, most: int, soft: np.ndarray | None = None
    ) -> np.ndarray:
        """The derivative of each sample's loss by a spike of each class, (N, classes); ``soft``: see :meth:`values`."""
        classes = counts.shape[1]
        wanted = self.wanted(labels, classes) if soft is None else soft
        weights = np.reshape(self._weights(labels), (-1, 1))
        if not self.softmax:
            return self.own_errors(counts, wanted, most, classes) * weights
        logits = counts * self.per_spike(most)
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (share / share.sum(axis=1, keepdims=True) - wanted) * self.per_spike(most) * weights

    def own_errors(self, counts: np.ndarray, wanted: np.ndarray, most: int, classes: int) -> np.ndarray:
        """Of a loss of every class by itself: the derivative by a spike of counts and what is wanted of them."""
        return PER_CLASS[self.name].slope(counts / most - wanted) / (classes * most)


MSE = Loss()


def usual_loss(unit: str, tables: int = 1) -> Loss:
    """The loss of a core with that loss unit and so many loss tables where none is asked for."""
    name = {"softmax": "cross-entropy", "membrane": MEMBRANE, "steps": STEPS}.get(unit, MSE.name)
    return Loss(name, weights=(1.0,) * tables if tables > 1 else ())


def marked(labels: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
    """What the loss knows samples (N,) by: their labels or, where each has soft targets, their numbers."""
    return labels if wanted is None else np.arange(len(labels))


def softened(logits: np.ndarray, temperature: float, wanted: np.ndarray, share: float) -> np.ndarray:
    """Soft targets (N, classes): of ``wanted``, and the softmax of a teacher's ``logits`` at a temperature, the latter
    with this share (Hinton et al., arXiv 1503.02531)."""
    scaled = (logits - logits.max(axis=1, keepdims=True)) / temperature
    known = np.exp(scaled)
    return (1 - share) * wanted + share * known / known.sum(axis=1, keepdims=True)


def balanced(labels: np.ndarray, classes: int) -> tuple[float, ...]:
    """Weights of classes by which each class counts alike in these labels: N / (classes * samples of the class).

    Raises :class:`TridentError` for a class that has no sample.
    """
    samples = np.bincount(labels, minlength=classes)
    if not samples.all():
        raise TridentError(
            f"class {samples.argmin()} has no training sample, so class weights cannot be balanced: give one number "
            "per class"
        )
    return tuple((len(labels) / (classes * samples)).tolist())
