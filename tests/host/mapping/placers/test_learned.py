"""The learned placer: inference, checkpoints, and its training where PyTorch is there."""

import numpy as np
import pytest

from trident.host.mapping.placement import Placing, place
from trident.host.mapping.placers import learned as placer
from trident.host.mapping.placers.generated import pipeline
from trident.host.mapping.placers.learned import SHAPES, VERSION, Weights, learned, settle
from trident.host.mapping.placers.orders import hilbert, zigzag
from trident.host.mapping.placers.problem import Problem
from trident.host.mapping.traffic import Traffic
from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig

MESH = MeshConfig(width=6, height=4)


def drawn(seed: int) -> Weights:
    rng = np.random.default_rng(seed)
    return Weights({name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in SHAPES.items()})


@pytest.mark.parametrize("width, height", [(1, 1), (2, 1), (5, 4), (8, 8)])
def test_any_mesh_and_any_traffic_are_placed(width, height):
    for flows in (Traffic(1, ()), pipeline(width * height, 0, 1)):
        problem = Problem.of(flows, width, height)
        for weights in (None, drawn(0)):
            assert sorted(learned(problem, weights)) == list(range(width * height))


def test_points_on_a_grid_stay_there():
    problem = Problem.of(pipeline(24, 0), 6, 4)
    for places in (zigzag(problem), hilbert(problem), np.random.default_rng(0).permutation(24)):
        y, x = np.divmod(places, 6)
        assert (settle(problem, np.stack([x, y], 1)) == places).all()


def test_the_weights_that_come_along_are_small_and_beat_the_zigzag():
    assert placer.OWN.stat().st_size < 1e6
    ratios = []
    for seed in range(2 * 10**6, 2 * 10**6 + 10):
        problem = Problem.of(pipeline(64, seed), 8, 8)
        ratios.append(problem.cost(learned(problem)) / problem.cost(zigzag(problem)))
    assert np.mean(ratios) < 1


def test_a_checkpoint_comes_back(tmp_path):
    weights, path = drawn(1), tmp_path / "placer.npz"
    weights.write(path)
    again = Weights.read(path)
    assert all(again.arrays[name] == pytest.approx(weights.arrays[name], abs=1e-3) for name in SHAPES)
    flows = pipeline(24, 0)
    mine = place(Placing(f"learned:{path}", budget=1e-6), flows, MESH)
    assert mine != place(Placing("learned", budget=1e-6), flows, MESH)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"version": VERSION + 1}, "is of version 2 of the learned placer, this is version 1"),
        ({"last": np.zeros((3, 2))}, r"has last of the shape \(3, 2\), the learned placer \(32, 2\)"),
        ({"first": None}, "is no checkpoint of the learned placer"),
    ],
)
def test_refuses_a_checkpoint_of_another_kind(change, sentence, tmp_path):
    arrays = {"version": VERSION, **drawn(0).arrays, **change}
    np.savez(tmp_path / "other.npz", **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(TridentError, match=sentence):
        Placing(f"learned:{tmp_path / 'other.npz'}").check()


def test_refuses_a_file_that_is_no_checkpoint(tmp_path):
    (tmp_path / "text.npz").write_text("no")
    (tmp_path / "empty.npz").touch()
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04" + bytes(40))
    for name in ("text.npz", "empty.npz", "broken.npz", "none.npz"):
        with pytest.raises(TridentError, match=f"{name} is no checkpoint of the learned placer"):
            Placing(f"learned:{tmp_path / name}").check()


@pytest.mark.oracle
def test_training_computes_what_inference_does():
    torch = pytest.importorskip("torch")
    training = pytest.importorskip("trident.host.mapping.placers.training")
    network, problem = training.Network(), Problem.of(pipeline(24, 0), 6, 4)
    shares, seen = placer.inputs(problem)
    points, _ = network(torch.tensor(shares.toarray()), torch.tensor(seen))
    assert placer.coordinates(problem, network.weights()) == pytest.approx(points.detach().numpy(), abs=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize("method", ["sinkhorn", "ppo"])
def test_training_ends_with_weights_that_have_changed(method):
    pytest.importorskip("torch")
    training = pytest.importorskip("trident.host.mapping.placers.training")
    (first, before), *_, (last, after) = training.train(method, 0.5, 0)
    assert first.problems == 0 < last.problems and 0.5 < last.of_zigzag < 2
    assert any((before.arrays[name] != after.arrays[name]).any() for name in SHAPES)


@pytest.mark.oracle
def test_the_relaxation_of_a_sharp_placement_costs_what_it_does(monkeypatch):
    torch = pytest.importorskip("torch")
    training = pytest.importorskip("trident.host.mapping.placers.training")
    monkeypatch.setattr(training, "SHARPNESS", 3000.0)
    problem = Problem.of(pipeline(24, 0), 6, 4)
    y, x = np.divmod(hilbert(problem), 6)
    points = torch.tensor(np.stack([(2 * x - 5) / 6, (2 * y - 3) / 4], 1)).float()
    ratio = problem.cost(hilbert(problem)) / problem.cost(zigzag(problem))
    assert float(training.relaxed(problem, points)) == pytest.approx(ratio, rel=1e-3)
