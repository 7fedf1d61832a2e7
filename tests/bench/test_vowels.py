"""Samples of a .ts file, which end at different timesteps."""

import numpy as np

from trident.bench.training import vowels


def test_series_of_different_lengths():
    frames, labels = vowels.read_series("@problemName X\n@data\n1,2,3:-1,0.5,0:2\n4:8:1\n")
    assert frames.shape == (2, vowels.STEPS, 2) and labels.tolist() == [1, 0]
    assert frames[0, :3].tolist() == [[1, -1], [2, 0.5], [3, 0]] and frames[1, 0].tolist() == [4, 8]
    assert not frames[0, 3:].any() and not frames[1, 1:].any() and frames.dtype == np.float32


def test_nothing_is_measured_where_the_data_are_not(monkeypatch):
    monkeypatch.setattr(vowels, "find_spec", lambda name: None)
    assert list(vowels.measure_vowels("")) == []
