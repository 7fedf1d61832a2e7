"""What the output neurons say."""

import numpy as np

UNDECIDED = -1


def predicted(counts: np.ndarray) -> np.ndarray:
    """The class of every sample, int64 (N,): the one whose output neuron fired most, of spikes (N, classes).

    A tie, so an output without a spike too, is no prediction: :data:`UNDECIDED`.
    """
    first = counts.argmax(axis=1)
    tied = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return np.where(tied, UNDECIDED, first)
