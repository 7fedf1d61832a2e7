"""A prediction is the class that fired most; a tie is none."""

import numpy as np

from trident.snn.readout import UNDECIDED, predicted


def test_predictions():
    counts = np.array([[0, 3, 1], [2, 2, 1], [0, 0, 0], [4, 4, 5], [1, 0, 0]])
    np.testing.assert_array_equal(predicted(counts), [1, UNDECIDED, UNDECIDED, 2, 0])
    np.testing.assert_array_equal(predicted(counts.astype(np.float32)), predicted(counts))


def test_one_class_is_predicted_whatever_it_fires():
    np.testing.assert_array_equal(predicted(np.array([[0], [3]])), [0, 0])
