"""The measure of what exact sums are worth: how it adds and rounds, and what it finds."""

import numpy as np
import pytest

from trident.bench import rounding
from trident.bench.results import EMPTY
from trident.bench.results import rounding as table
from trident.host.report.figure import Figure


def test_ordered_sums_round_at_every_addition():
    """2048 + 1 lies between two numbers of FP16: added one by one, ones do not get past 2048."""
    assert rounding._ordered(np.ones(3000)) == 2048
    assert rounding._ordered(np.array([1.0, 2048.0, 1.0])) == 2048
    assert rounding._ordered(np.array([1.0, 1.0, 2048.0])) == 2050


def test_exact_sums_are_nearer(monkeypatch):
    monkeypatch.setattr(rounding, "LAYERS", 3)
    monkeypatch.setattr(rounding, "SAMPLES", 16)
    found = rounding.errors(0)
    assert found["exact"].shape == (3,) and 0 < found["exact"].max() < found["ordered"].min() < 0.05


def test_table():
    names = [f"gradients.deep16.{way}.error_{of}" for way in ("exact", "ordered") for of in ("mean", "worst")]
    figures = {name: Figure(name, "ratio", 0.001 * n, "lower") for n, name in enumerate(names, 1)}
    assert "| 0.300 % | 0.400 % |" in table(figures) and table({}) == EMPTY
    del figures[names[0]]
    assert "0.200 %" not in table(figures)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_again(seed, monkeypatch):
    monkeypatch.setattr(rounding, "LAYERS", 2)
    monkeypatch.setattr(rounding, "SAMPLES", 4)
    one, two = rounding.errors(seed), rounding.errors(seed)
    assert all((one[name] == two[name]).all() for name in one)
