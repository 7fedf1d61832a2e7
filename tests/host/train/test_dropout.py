"""Runs with dropout: on the RTL, alone in golden, stopped and gone on with, in rounds; and what is refused."""

from dataclasses import replace

import pytest

from tests.host.train.stripes import stripes
from tests.host.train.test_trainer import MINIBATCHES, Watch, final, session
from trident.host.federated.golden_learner import GoldenLearner
from trident.host.train.checkpoint import Checkpoint
from trident.host.train.golden_run import GoldenRun
from trident.host.train.spec import ChipChoice, RunSpec
from trident.hw.errors import Interrupted, TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig
from trident.hw.isa.spaces import Space
from trident.sim.golden.constants import UpdateConstants
from trident.snn.data.encoding import encode

NET = "3x3x1-4c3-drop0.3-20-drop0.75-3"
DIGITS = {"net": "64-32-drop0.5-10", "preset": "TINY", "train": {"epochs": 2, "batch": 32}}


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    data = stripes(tmp_path_factory.mktemp("data"))
    return RunSpec.make(data, net=NET, preset="TINY", train={"batch": 4, "epochs": 2, "seed": 7})


def test_a_stopped_run_goes_on_with_the_same_dropouts(spec, tmp_path):
    """On RTL, golden and twin together; golden alone ends with the same weights."""
    unbroken = session(spec, tmp_path / "unbroken.npz")
    unbroken.run(Watch())
    assert unbroken.lockstep.compare.state((Space.WEIGHTS, Space.MOMENTUM)) == (0, None)
    path, pressed = tmp_path / "checkpoint.npz", []
    with pytest.raises(Interrupted):
        session(spec, path).run(Watch(MINIBATCHES + 2, lambda: pressed.append(True)), lambda: bool(pressed))
    resumed = session(spec, path, Checkpoint.load(path))
    resumed.run(Watch())
    for found, expected in zip(final(resumed), final(unbroken), strict=True):
        assert (found == expected).all()
    theirs = unbroken.lockstep.twin.weights
    for name, ours in resumed.lockstep.twin.weights.items():
        assert (ours == theirs[name]).all()
    alone = GoldenRun(spec, tmp_path / "golden.npz")
    alone.run(lambda *_: None)
    weights = unbroken.lockstep.learner.session.read(Space.WEIGHTS)
    for name, bits in alone.golden.bits(Space.WEIGHTS).items():
        assert (bits == weights[name]).all()


def test_golden_goes_on_where_it_stopped(tmp_path):
    spec, ends = RunSpec.make(**DIGITS), []
    for stops in ([], [False] * 60 + [True]):
        run, asked = GoldenRun(spec, tmp_path / "golden.npz"), iter(stops)
        if stops:
            with pytest.raises(Interrupted):
                run.run(lambda *_: None, lambda asked=asked: next(asked))
            run = GoldenRun(spec, tmp_path / "golden.npz", resume=True)
        run.run(lambda *_: None)
        ends.append(run.golden.bits(Space.WEIGHTS))
    assert all((ends[0][name] == bits).all() for name, bits in ends[1].items())
    assert run.progress.history[-1]["test_accuracy"] > 0.7


def test_a_worker_drops_by_the_number_of_its_minibatch():
    """Whatever it has done before: a round that is done again is the same."""
    spec = RunSpec.make(**DIGITS)
    learner, start = GoldenLearner(spec), GoldenLearner(spec).read()
    spikes = encode(spec.dataset, spec.network, spec.train.timesteps, spec.encoding, 0, 0)[0]
    constants, found = UpdateConstants.round(spec.train.numbers(0.5, 256, 1), 32, spec.cfg.format), []
    for first in (0, 5, 0):
        learner.load(start, first)
        for _ in range(2):
            learner.train(spikes[:32], spec.dataset.train_labels[:32], constants, 256)
        found.append(learner.read()["linear1.weight"])
    assert (found[0] == found[2]).all() and (found[0] != found[1]).any()


@pytest.mark.parametrize("options, words", [
    ({"net": "8x8x1-4c3-drop0.25-4c3-10", "norm": "ws"}, "conv 'conv3' reads what a dropout leaves, so its "
     "standardised weights would count for 1.333 times as much: a core has that for a p of 0.5, 0.75, 0.875"),
    ({"net": "64-12-drop-10", "preset": "COMPACT"}, "dropout needs a dropout unit, which a core without dropout"),
    ({"net": "64-12-drop-10", "preset": "WIDE"}, "planes of real values need forward_cols of 1, not 4"),
    ({"net": "64-12-drop-10", "built": (CoreConfig(planes=True), MeshConfig())}, "the chip has been built without dr"),
    ({"net": "64-12-drop-10", "neuron": {"surrogate": "rectangle", "detach": False}}, "pooled or dropped spikes with"),
    ({"net": "64-12-drop-10", "neuron": {"spike_penalty": 0.1}}, "a spike_penalty of pooled or dropped spikes nee"),
    ({"net": "64-12-drop-10", "chip": ChipChoice(cores=2, partition="1,2")}, "a network with a dropout, here behind "),
])  # fmt: skip
def test_refusals(options, words):
    with pytest.raises(TridentError) as refused:
        RunSpec.make(**options)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_small_core_has_none():
    with pytest.raises(TridentError, match="^dropout needs a dropout unit, which a core without dropout or with a sha"):
        replace(CoreConfig.preset("COMPACT"), dropout=True)
    with pytest.raises(TridentError, match="^dropout must be true or false, not 1$"):
        CoreConfig(dropout=1)
