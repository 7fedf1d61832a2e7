"""Every sample goes to one worker, the same one each time."""

import numpy as np
import pytest

from trident.host.federated.split import split
from trident.hw.errors import TridentError

LABELS = np.random.default_rng(1).integers(0, 10, 700)


@pytest.mark.parametrize("how", ["iid", "dirichlet:0.3", "dirichlet:100", "by-class"])
def test_every_sample_goes_to_exactly_one_worker(how):
    parts = split(LABELS, 10, 5, how, 16, 7)
    assert sorted(np.concatenate(parts).tolist()) == list(range(700))
    assert all((np.diff(part) > 0).all() and len(part) >= 16 for part in parts)
    again = split(LABELS, 10, 5, how, 16, 7)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def classes(parts):
    return [np.bincount(LABELS[part], minlength=10) for part in parts]


def test_how_unlike_the_parts_are():
    largest = {how: np.mean([c.max() / c.sum() for c in classes(split(LABELS, 10, 5, how, 16))])
               for how in ("iid", "dirichlet:0.3", "by-class")}  # fmt: skip
    assert largest["iid"] < 0.2 < largest["dirichlet:0.3"] < largest["by-class"]
    assert [np.flatnonzero(c).tolist() for c in classes(split(LABELS, 10, 5, "by-class", 16))] == [
        [0, 1], [2, 3], [4, 5], [6, 7], [8, 9],
    ]  # fmt: skip


def test_the_seed_matters_and_one_worker_has_all():
    first, second = (split(LABELS, 10, 5, "iid", 16, seed) for seed in (0, 1))
    assert not np.array_equal(first[0], second[0])
    for how in ("iid", "dirichlet:0.3", "by-class"):
        assert np.array_equal(split(LABELS, 10, 1, how, 16)[0], np.arange(700))


def test_too_few_samples_are_refused():
    with pytest.raises(TridentError, match="1000 draws of dirichlet:0.001 left a worker with fewer than 139"):
        split(LABELS, 10, 5, "dirichlet:0.001", 139)
    with pytest.raises(TridentError, match="71 workers leave one with 9 of the 700 samples"):
        split(LABELS, 10, 71, "iid", 16)
