"""Runs that begin with the weights of a checkpoint, with batch norms frozen or not."""

import numpy as np
import pytest

from tests.host.train.stripes import stripes
from tests.host.train.test_trainer import Watch, session
from trident.host.train.checkpoint import Checkpoint
from trident.host.train.golden_run import GoldenRun
from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError
from trident.hw.isa.spaces import Space
from trident.sim.golden.format import to_values

NET = "3x3x1-4c3-drop0.2-3"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return stripes(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """The checkpoint of an epoch of golden alone, with a batch norm and a dropout."""
    path = tmp_path_factory.mktemp("trained") / "golden.npz"
    GoldenRun(spec_of(data), path).run(lambda *_: None)
    return path


def spec_of(data, net: str = NET, **options) -> RunSpec:
    options = {"norm": "bn", "preset": "TINY"} | options
    return RunSpec.make(data, net=net, train={"batch": 4, "epochs": 1, "seed": 7}, **options)


@pytest.mark.parametrize("frozen", [False, True])
def test_all_models_begin_with_them(data, trained, tmp_path, frozen):
    """RTL, golden and twin; an epoch leaves running means and variances where they are frozen, and nothing else."""
    spec = spec_of(data, weights=trained, freeze_bn=frozen)
    before = Checkpoint.load(trained, "golden")
    run = session(spec, tmp_path / "checkpoint.npz")
    held = spec.network.held
    for name, bits in before.tensors("weights").items():
        assert (run.lockstep.learner.session.read(Space.WEIGHTS)[name] == bits).all()
        theirs = to_values(bits, spec.cfg.format) / held.get(name, 1)
        assert np.abs(run.lockstep.twin.weights[name] - theirs).max() < 1e-6
    run.run(Watch())
    assert run.lockstep.compare.state((Space.WEIGHTS, Space.MOMENTUM)) == (0, None)
    after = Checkpoint.load(tmp_path / "checkpoint.npz")
    for norm in spec.network.norms:
        for name in (norm.gain, norm.offset):
            assert (after.tensors("raw")[name] == before.tensors("raw")[name]).all() == frozen
            assert (after.tensors("weights")[name] != before.tensors("weights")[name]).any()
    alone = GoldenRun(spec, tmp_path / "golden.npz")
    alone.run(lambda *_: None)
    for name, bits in alone.golden.bits(Space.WEIGHTS).items():
        assert (after.tensors("weights")[name] == bits).all()


def test_another_dropout_holds_them_times_another_factor(data, trained):
    found = Checkpoint.load(trained, "golden").tensors("weights")
    start = spec_of(data, "3x3x1-4c3-drop0.6-3", weights=trained).start
    for name, bits in start[Space.WEIGHTS].items():
        ours, theirs = (to_values(own, spec_of(data).cfg.format) for own in (bits, found[name]))
        factor = 2.0 if name == "linear3.weight" else 1.0  # (1 - 0.2) / (1 - 0.6)
        assert (ours == factor * theirs).all() and theirs.any()


@pytest.mark.parametrize("options, words", [
    ({"net": "3x3x1-4c3-3"}, "has no weights of this network: linear2.weight of shape (1, 36, 3) is not there"),
    ({"net": "3x3x1-5c3-drop0.2-3"}, "has no weights of this network: conv1.weight of shape (9, 1, 5) is not there"),
    ({"core": {"exp": 8, "frac": 7}}, "are floats with exp of 5, the core has 8"),
    ({"weights": "nothing.npz"}, "there is no checkpoint with weights at nothing.npz"),
])  # fmt: skip
def test_what_it_cannot_begin_with(data, trained, options, words):
    given = {"weights": trained} | options
    given["weights"] = type(trained)(given["weights"])
    with pytest.raises(TridentError) as refused:
        spec_of(data, **given)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_network_without_norms_has_none_to_freeze(data):
    with pytest.raises(TridentError, match="there is no batch norm to be frozen: give norm bn, or layers as 16c3bn"):
        spec_of(data, norm="none", freeze_bn=True)


def test_a_run_goes_on_only_with_the_weights_that_it_began_with(data, trained, tmp_path):
    spec, path = spec_of(data, weights=trained), tmp_path / "golden.npz"
    run = GoldenRun(spec, path)
    run.run(lambda *_: None)
    resumed = GoldenRun(spec, path, resume=True)
    for name, bits in resumed.golden.bits(Space.WEIGHTS).items():
        assert (bits == run.golden.bits(Space.WEIGHTS)[name]).all()
    with pytest.raises(TridentError, match="has weights digest"):
        GoldenRun(spec_of(data), path, resume=True)
