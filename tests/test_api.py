"""What ``import trident`` gives, and what it loads."""

import subprocess
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import trident
from trident import Chip, CoreConfig, Network, estimate, train
from trident.hw.errors import TridentError
from trident.hw.isa.spaces import Space

ROOT = Path(__file__).resolve().parents[1]


def test_import_loads_nothing():
    program = "import sys, trident; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert "trident" in names and not {"numpy", "amaranth", "numba", "rich"} & set(names)
    assert not [name for name in names if name.startswith("trident.")]


def test_names():
    assert set(trident.__all__) <= set(dir(trident))
    assert all(getattr(trident, name).__doc__ for name in trident.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Chips'"):
        _ = trident.Chips


def test_estimate_of_one_core():
    found = estimate("64-16-10", preset="TINY")
    assert found.weights == 64 * 16 + 16 + 16 * 10 + 10 and found.cores == found.mesh.cores == 1
    assert found.cycles_per_sample == found.one_core > 0 and len(found.members) == 1
    assert found.samples_per_second(1e6) == 1e6 / found.cycles_per_sample
    given = estimate(Network.parse("64-16-10"), preset="TINY")
    assert given == found


def test_estimate_of_a_mesh():
    found = estimate("64-16-10", mesh="2x1", partition="2x1-2")
    assert found.cores == 2 and str(found.partition) == "2x1-2" and len(set(found.placement)) == 2
    assert found.cycles_per_sample < found.one_core


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(TridentError, match="10 classes"):
        train("64-9", folder=tmp_path / "out")
    with pytest.raises(TridentError, match="preset 'HUGE'"):
        estimate("64-10", preset="HUGE")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_train_in_a_thread(tmp_path):
    results = []
    worker = Thread(target=lambda: results.append(
        train(Network.parse("64-16-10"), preset="TINY", epochs=1, training={"momentum": 0.5}, folder=tmp_path)
    ))  # fmt: skip
    worker.start()
    worker.join()
    (result,) = results
    assert result.accuracy > 0.5 and result.cycles > 0 and result.report.exists()
    assert result.weights_compared == Network.parse("64-16-10").weights and result.zero_weights is None


@pytest.mark.slow
def test_chip():
    network = Network.parse("16-16-4")
    with Chip(CoreConfig.preset("TINY")) as chip:
        chip.load(network)
        values = np.full_like(chip.read(0, Space.WEIGHTS, 0, 4), 0x3C003C00)
        chip.write(0, Space.WEIGHTS, 0, values)
        assert (chip.read(0, Space.WEIGHTS, 0, 4) == values).all()
        assert chip.cycles > 0 and chip.counters(0)["cycles"] == 0  # no minibatch has run yet
