"""Golden alone: the weights of the chip, a run that goes on where it stopped, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from trident.cli import main
from trident.host.cli.run import _train_golden
from trident.host.train.checkpoint import GOLDEN, Checkpoint
from trident.host.train.golden_run import GoldenRun
from trident.host.train.spec import RunSpec
from trident.hw.errors import Interrupted, TooLarge, TridentError
from trident.hw.isa.faults import Fault
from trident.hw.isa.spaces import Space
from trident.snn.data.encoding import encode
from trident.snn.train_settings import SCALED

TRAIN = {"epochs": 2, "batch": 32}


@pytest.fixture(scope="module")
def spec():
    return RunSpec.make("digits", net="64-12-10", preset="TINY", train=TRAIN)


@pytest.fixture(scope="module")
def unbroken(spec, tmp_path_factory):
    """A whole run, and what it told."""
    told = []
    run = GoldenRun(spec, tmp_path_factory.mktemp("golden") / "golden.npz")
    run.run(lambda epoch, _: told.append(epoch))
    return run, told


def _weights(run: GoldenRun) -> np.ndarray:
    return np.concatenate([bits.ravel() for bits in run.golden.bits(Space.WEIGHTS).values()])


def test_learns(unbroken):
    _, told = unbroken
    assert len(told) == 2 and told[1]["loss"] < told[0]["loss"] and told[1]["test_accuracy"] > 0.5


@pytest.mark.parametrize("loss", ["mse", "rate-cross-entropy"])
def test_votes_learn(loss, tmp_path):
    """Four neurons for each digit, of which the figures are of the digits."""
    spec = RunSpec.make("digits", net="64-12-40v4", preset="TINY", train=TRAIN | {"loss": loss}, alone=True)
    told = []
    run = GoldenRun(spec, tmp_path / "golden.npz")
    run.run(lambda epoch, _: told.append(epoch))
    assert told[1]["loss"] < told[0]["loss"] and told[1]["test_accuracy"] > 0.5
    assert run.golden.loss_constants(1.0).table.shape == (1, 2, 4 * 4 + 1)


NEURONS = {"neuron": "synaptic", "reset": "soft-after-leak", "surrogate": "atan", "detach": False, "threshold": 1.0}


def test_neurons_that_a_compact_core_has_not(tmp_path, capsys):
    """Other cores learn with them."""
    with pytest.raises(TridentError, match="charge of synaptic needs vector programs, which a core with a shared_eng"):
        RunSpec.make("digits", net="64-12-10", preset="COMPACT", train=TRAIN, neuron=NEURONS)
    spec = RunSpec.make("digits", net="64-12-10", preset="TINY", train=TRAIN, neuron=NEURONS, alone=True)
    told = []
    run = GoldenRun(spec, tmp_path / "golden.npz")
    run.run(lambda epoch, _: told.append(epoch))
    assert told[1]["loss"] < told[0]["loss"] and told[1]["test_accuracy"] > 0.5
    assert not run.golden.faults.any()
    with pytest.raises(SystemExit) as ended:
        main(["train", "--preset", "COMPACT", "--surrogate", "atan:2"])
    assert ended.value.code == 2
    assert "surrogate of atan needs vector programs, which a core with a sh" in capsys.readouterr().err


def test_goes_on_where_it_stopped(spec, unbroken, tmp_path):
    path, asked = tmp_path / "golden.npz", iter([False] * 60 + [True])
    with pytest.raises(Interrupted, match="stopped in epoch 2 after minibatch 16"):
        GoldenRun(spec, path).run(lambda *_: None, lambda: next(asked))
    resumed = GoldenRun(spec, path, resume=True)
    resumed.run(lambda *_: None)
    assert (_weights(resumed) == _weights(unbroken[0])).all()
    for ours, theirs in zip(resumed.progress.history, unbroken[0].progress.history, strict=True):
        assert all(ours[name] == theirs[name] for name in ("loss", "train_accuracy", "test_accuracy"))


def test_standardised_weights(tmp_path):
    """A run with them learns, goes on from a checkpoint that has the raw weights, and undoes what overflows."""
    spec = RunSpec.make("digits", net="64-12-10", preset="TINY", train=TRAIN, norm="ws")
    told = []
    run = GoldenRun(spec, tmp_path / "golden.npz")
    run.run(lambda epoch, _: told.append(epoch))
    assert told[1]["loss"] < told[0]["loss"] and told[1]["test_accuracy"] > 0.5
    state = Checkpoint.load(tmp_path / "golden.npz", GOLDEN)
    raw = state.tensors("raw")
    assert raw["linear1.weight"].any() and not raw["linear2.weight"].any() and not raw["linear1.bias"].any()
    resumed = GoldenRun(spec, tmp_path / "golden.npz", resume=True)
    for space in (Space.WEIGHTS, Space.RAW, Space.MOMENTUM):
        for name, bits in run.golden.bits(space).items():
            assert (resumed.golden.bits(space)[name] == bits).all()
    made = resumed.golden._standard["linear1.weight"].weights(resumed.golden.raw["linear1.weight"])[0]
    assert (made == resumed.golden.weights["linear1.weight"]).all()
    before = {name: values.copy() for name, values in resumed.golden.raw.items()}
    resumed.golden.gradients[0]["linear1.weight"][:] = 60000.0  # what a sum of products does not hold
    resumed._minibatch(np.zeros((32, spec.cfg.steps, *spec.network.in_shape), np.uint8), np.arange(32) % 10)
    assert resumed.progress.skipped == 1
    for name, values in resumed.golden.raw.items():
        assert (values == before[name]).all()


@pytest.mark.parametrize("train", [{"prune": 0.01}, {"prune": 0.1, "optimizer": "adam"}])
def test_weights_are_pruned(spec, tmp_path, train, capsys):
    """Weights become 0 and biases do not, the run says how many, and goes on with the same bits."""
    spec = RunSpec.make("digits", net="64-12-10", preset="TINY", train=TRAIN | train)
    whole, asked = GoldenRun(spec, tmp_path / "whole.npz"), iter([False] * 60 + [True])
    whole.run(lambda *_: None)
    share = whole.golden.zero_share
    assert 0.1 < share < 1 and whole.progress.history[1]["loss"] < whole.progress.history[0]["loss"]
    assert all(values.all() for name, values in whole.golden.weights.items() if name.endswith("bias"))
    bits = [whole.golden.bits(Space.WEIGHTS)[layer.weight] for layer in spec.network.layers]
    assert share == sum((own == 0).sum() for own in bits) / sum(own.size for own in bits)  # nowhere -0
    with pytest.raises(Interrupted, match="stopped in epoch 2"):
        GoldenRun(spec, tmp_path / "golden.npz").run(lambda *_: None, lambda: next(asked))
    _train_golden(spec, tmp_path / "golden.npz", Console(width=200), True, "numpy")
    assert f"Weights that are 0: {100 * share:.2f} %." in capsys.readouterr().out
    for name, own in Checkpoint.load(tmp_path / "golden.npz", GOLDEN).tensors("weights").items():
        assert (own == whole.golden.bits(Space.WEIGHTS)[name]).all()


def test_class_weights(spec, unbroken, tmp_path):
    """Those of 1 change no bit; others do, and the run goes on with them."""
    ends = {}
    for weights in (",".join("1" * 10), "balanced", "0,1,1,1,1,1,1,1,1,1"):
        own = RunSpec.make("digits", net="64-12-10", preset="TINY", train=TRAIN | {"class_weights": weights})
        assert own.cfg == replace(spec.cfg, loss_tables=10) and len(own.loss.weights) == 10
        run = GoldenRun(own, tmp_path / "golden.npz")
        run.run(lambda *_: None)
        ends[weights], confusion = _weights(run), run._test(_test_spikes(own)).confusion
        resumed = GoldenRun(own, tmp_path / "golden.npz", resume=True)
        assert (_weights(resumed) == ends[weights]).all()
    plain, balanced, without = ends.values()
    assert (plain == _weights(unbroken[0])).all() and (balanced != plain).any() and (without != balanced).any()
    assert sum(row[0] for row in confusion) == 0  # a class whose samples weigh nothing is not learnt


def _test_spikes(spec: RunSpec) -> np.ndarray:
    return encode(spec.dataset, spec.network, spec.train.timesteps, spec.encoding, spec.train.seed, 0)[1]


def test_an_overflow_halves_the_loss_scale(tmp_path):
    spec = RunSpec.make("digits", net="64-12-10", preset="TINY", train=TRAIN | {"epochs": 1, "loss_scale": 2**15})
    run = GoldenRun(spec, tmp_path / "golden.npz")
    run.run(lambda *_: None)
    assert run.scaler.skipped > 0 and run.scaler.scale < 2**15


def test_moments_that_overflow_halve_their_own_scale(tmp_path):
    """The loss scale stays, and a run that goes on has the bits of an unbroken one."""
    train = TRAIN | {"epochs": 1, "optimizer": "adam", "loss": "cross-entropy"}
    spec = RunSpec.make("digits", net="64-12-10", preset="TINY", train=train)
    path, asked = tmp_path / "golden.npz", iter([False] * 3 + [True])
    with pytest.raises(Interrupted, match="after minibatch 3"):
        GoldenRun(spec, path).run(lambda *_: None, lambda: next(asked))
    broken, whole = GoldenRun(spec, path, resume=True), GoldenRun(spec, tmp_path / "whole.npz")
    assert broken.scaler.skipped > 0 and broken.scaler.carry < 1
    for run in (broken, whole):
        run.run(lambda *_: None)
    assert whole.scaler.scale == spec.train.loss_scale and whole.scaler.power == SCALED - whole.scaler.skipped
    assert broken.scaler == whole.scaler and whole.scaler.updates > whole.scaler.skipped
    for space in (Space.WEIGHTS, Space.MOMENTUM, Space.SQUARES):
        for name, bits in whole.golden.bits(space).items():
            assert (broken.golden.bits(space)[name] == bits).all()


def test_an_update_that_overflows_is_undone(spec, tmp_path, monkeypatch):
    run = GoldenRun(spec, tmp_path / "golden.npz")
    before, scale, update = _weights(run), run.scaler.scale, run.golden.update

    def overflowing(constants):
        update(constants)
        run.golden.faults |= 1 << Fault.UPDATE

    monkeypatch.setattr(run.golden, "update", overflowing)
    spikes = np.ones((32, spec.cfg.timesteps, *spec.network.in_shape), np.uint8)
    run._minibatch(spikes, np.zeros(32, np.int64))
    momenta = run.golden.bits(Space.MOMENTUM).values()
    assert (_weights(run) == before).all() and not any(bits.any() for bits in momenta) and run.scaler.scale < scale


def test_a_network_larger_than_any_core(tmp_path):
    """Golden alone takes it; the chip, and one whose memories have been named, do not."""
    make = {"net": "64-2500-250-10", "train": {"batch": 8}}
    large = RunSpec.make(**make, alone=True)
    assert large.plan is None and not large.many and "larger memories than can be built" in large.chip_text
    run = GoldenRun(large, tmp_path / "golden.npz")
    before = _weights(run)
    spikes = np.ones((8, large.cfg.timesteps, *large.network.in_shape), np.uint8)
    run._minibatch(spikes, np.arange(8))
    assert (_weights(run) != before).any()
    for refused in ({}, {"alone": True, "core": {"weight_rows": 4096}}):
        with pytest.raises(TooLarge, match="weights"):
            RunSpec.make(**make, **refused)
    with pytest.raises(TridentError, match="a sum in weight_grad of .* terms"):
        RunSpec.make(**make | {"train": {"batch": 1024}}, core={"gradient_bits": 32}, alone=True)


@pytest.mark.parametrize("name, value", [
    ("minibatch", 10**9), ("epoch", -1), ("history", [{}]), ("tally", {"samples": "four"}),
    ("scaler", {"scale": 0.0, "carry": 1.0, "skipped": 0}),
])  # fmt: skip
def test_a_damaged_checkpoint_is_refused(spec, unbroken, tmp_path, name, value):
    state = Checkpoint.load(unbroken[0].path, GOLDEN)
    state.progress = json.loads(json.dumps(state.progress)) | {name: value}
    state.save(tmp_path / "golden.npz")
    with pytest.raises(TridentError, match=r"golden\.npz is damaged"):
        GoldenRun(spec, tmp_path / "golden.npz", resume=True)


def test_the_command(tmp_path, capsys, monkeypatch):
    arguments = ["train", "--target", "golden", "--net", "64-8-10", "--preset", "TINY", "--epochs", "1"]
    monkeypatch.setattr("sys.argv", ["trident", *arguments, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr().out
    assert not ended.value.code and "Accuracy: train" in out and (tmp_path / "golden.npz").exists()


def test_says_what_keeps_a_network_from_learning(tmp_path, capsys):
    """Once, in words that name the option to change."""
    command = ["train", "--target", "golden", "--net", "64-12-10", "--threshold", "50", "--window", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--epochs", "2", "--batch", "100", "--out", str(tmp_path)])
    assert not ended.value.code
    said = capsys.readouterr().out
    assert said.count("warning: linear1 has not fired once in an epoch") == 1 and "Lower --threshold" in said
    progress = Checkpoint.load(tmp_path / "golden.npz", GOLDEN).progress
    assert len(progress["findings"]) >= 1 and progress["rates"]["samples"] == 0


def test_a_resumed_run_finds_what_an_unbroken_one_does(tmp_path):
    """Rates of the first part of an epoch are kept."""
    spec = RunSpec.make("digits", net="64-12-10", train={"epochs": 1, "batch": 100}, neuron={"threshold": 50.0})
    told, asked = {}, iter([False] * 5 + [True] * 99)
    GoldenRun(spec, tmp_path / "a.npz").run(lambda _, found: told.update(a=found))
    with pytest.raises(Interrupted):
        GoldenRun(spec, tmp_path / "b.npz").run(lambda *_: None, lambda: next(asked))
    resumed = GoldenRun(spec, tmp_path / "b.npz", resume=True)
    assert resumed.rates.samples == 500
    resumed.run(lambda _, found: told.update(b=found))
    assert told["a"] == told["b"] != []
