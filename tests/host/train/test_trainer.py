"""A whole training run on the RTL of a tiny core: equal to golden, told, reported, interrupted and resumed."""

import json
import os
import signal
from dataclasses import replace
from io import StringIO

import numpy as np
import pylibfst
import pytest
from rich.console import Console

from trident.host.cli.run import train
from trident.host.report.report import RunRecord
from trident.host.train.checkpoint import Checkpoint
from trident.host.train.chip_learner import NumericFault
from trident.host.train.compare import Divergence
from trident.host.train.scaler import LossScaler
from trident.host.train.spec import RunSpec
from trident.host.train.trainer import Interrupted, Trainer
from trident.hw.errors import TridentError
from trident.hw.isa.spaces import Space
from trident.sim.rtl.verilated import VerilatedChip
from trident.sim.rtl.waves import convert
from trident.snn.train_settings import SCALED

MINIBATCHES = 6
OPTIONS = {"net": "3x3x1-2c3s2-5-3", "preset": "TINY"}
TRAIN = {"batch": 4, "epochs": 2, "seed": 7}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """30 images of three classes in an .npz."""
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 30)
    images = 0.2 * rng.random((30, 3, 3)) + 0.8 * (np.arange(3) == labels[:, None])[:, None, :]
    np.savez(path, images=images, labels=labels, classes=3)
    return path


@pytest.fixture(scope="module")
def spec(data):
    return RunSpec.make(str(data), train=TRAIN, **OPTIONS)


class Watch:
    """A display that does something after a minibatch of the run."""

    def __init__(self, at=None, action=None):
        self.at, self.action, self.minibatches, self.epochs = at, action, 0, 0
        self.warnings = []

    def start(self, epochs, minibatches, progress):
        assert minibatches == MINIBATCHES

    def step(self, progress, tally):
        self.minibatches += 1
        if self.minibatches == self.at:
            self.action()

    def epoch(self, progress):
        self.epochs += 1

    def warn(self, finding):
        self.warnings.append(finding)


def session(spec, path, resume=None):
    return Trainer(spec, VerilatedChip(spec.cfg, spec.mesh), path, resume)


def final(trainer):
    """Weights and momenta as the core has them."""
    read = trainer.lockstep.learner.session.read
    return [values for space in (Space.WEIGHTS, Space.MOMENTUM) for values in read(space).values()]


@pytest.fixture(scope="module")
def unbroken(spec, tmp_path_factory):
    trainer = session(spec, tmp_path_factory.mktemp("unbroken") / "checkpoint.npz")
    watch = Watch()
    trainer.run(watch)
    assert (watch.minibatches, watch.epochs) == (2 * MINIBATCHES, 2)
    return trainer


def test_rtl_and_golden_agree_in_every_epoch(unbroken):
    history = unbroken.progress.history
    assert history["RTL"] == history["golden"] and len(history["float32"]) == 2
    assert unbroken.lockstep.compare.state((Space.WEIGHTS, Space.MOMENTUM)) == (0, None)
    assert unbroken.progress.cycles > 0 and unbroken.progress.counters[0]["cycles"] > 0


@pytest.mark.parametrize("stop_after", [1, MINIBATCHES - 1, MINIBATCHES, MINIBATCHES + 2])
def test_a_resumed_run_ends_as_an_unbroken_one(spec, unbroken, tmp_path, stop_after):
    path, pressed = tmp_path / "checkpoint.npz", []
    broken = session(spec, path)
    with pytest.raises(Interrupted, match=f"after minibatch {(stop_after - 1) % MINIBATCHES + 1} of {MINIBATCHES}"):
        broken.run(Watch(stop_after, lambda: pressed.append(True)), lambda: bool(pressed))
    resumed = session(spec, path, Checkpoint.load(path))
    watch = Watch()
    resumed.run(watch)
    assert watch.minibatches == 2 * MINIBATCHES - stop_after
    for found, expected in zip(final(resumed), final(unbroken), strict=True):
        assert (found == expected).all()
    for name in ("weights", "momentum"):
        ours, theirs = (trainer.lockstep.twin.state[name] for trainer in (resumed, unbroken))
        assert list(ours) == list(theirs) and all((ours[key] == theirs[key]).all() for key in theirs)
    assert resumed.progress.history == unbroken.progress.history
    done = [trainer.progress.counters[0]["forward.useful"] for trainer in (resumed, unbroken)]
    assert done[0] == done[1] > 0
    assert resumed.progress.cycles == unbroken.progress.cycles


@pytest.mark.parametrize("changes", [
    {"loss": "count-mse", "schedule": "one-cycle"}, {"smoothing": 0.1, "schedule": "cosine"},
    {"class_weights": "0.3,2,1", "schedule": "cosine"},
    {"class_weights": "balanced", "loss": "cross-entropy", "schedule": "cosine"},
])  # fmt: skip
def test_losses_and_schedules(data, unbroken, tmp_path, changes):
    """RTL and golden agree, and a run that is stopped within an epoch goes on with the same rates."""
    path, pressed = tmp_path / "checkpoint.npz", []
    spec = RunSpec.make(str(data), train=TRAIN | changes, **OPTIONS)
    whole = session(spec, tmp_path / "whole.npz")
    whole.run(Watch())
    with pytest.raises(Interrupted):
        session(spec, path).run(Watch(2, lambda: pressed.append(True)), lambda: bool(pressed))
    resumed = session(spec, path, Checkpoint.load(path))
    resumed.run(Watch())
    for found, expected in zip(final(resumed), final(whole), strict=True):
        assert (found == expected).all()
    assert whole.progress.history["RTL"] == whole.progress.history["golden"] == resumed.progress.history["RTL"]
    assert whole.progress.history["RTL"] != unbroken.progress.history["RTL"]
    with pytest.raises(TridentError, match="epochs"):
        longer = RunSpec.make(str(data), train=TRAIN | changes | {"epochs": 3}, **OPTIONS)
        Checkpoint.load(path).check(longer.settings(), path)


def test_another_weight_in_the_core_stops_the_run(spec, tmp_path):
    trainer = session(spec, tmp_path / "checkpoint.npz")
    session_ = trainer.lockstep.learner.session
    weights = session_.read(Space.WEIGHTS)
    weights["linear2.weight"][0, 2, 1] ^= 1
    session_.load(Space.WEIGHTS, weights)
    count, first = trainer.lockstep.compare.state((Space.WEIGHTS,))
    assert count == 1 and str(first).startswith(
        "update: weights of linear2.weight at layer 1, tap 0, in 2, out 1: expected 0x"
    )
    with pytest.raises(Divergence, match="linear2.weight .* epoch 1, minibatch 1"):
        trainer.run(Watch(), limit=1)


def test_overflow_is_skipped_by_both_and_halves_the_scale(data, tmp_path):
    spec = RunSpec.make(str(data), train=TRAIN | {"loss_scale": 2**15}, neuron={"window": 1000.0}, **OPTIONS)
    trainer = session(spec, tmp_path / "checkpoint.npz")
    state = trainer.lockstep.golden_state()
    state["weights"]["linear2.weight"][:] = 0x5640  # 100, whose product with an error of 5461 overflows
    trainer.lockstep.load_state(state)
    trainer.run(Watch(), limit=1)
    assert trainer.scaler.skipped == 1 and trainer.scaler.scale == 2**14
    assert trainer.lockstep.compare.state((Space.WEIGHTS, Space.MOMENTUM)) == (0, None)


def test_a_spike_penalty_is_scaled_as_the_loss(data, tmp_path):
    """Also with half the loss scale, and where a run goes on from its checkpoint."""
    options = OPTIONS | {"net": "3x3x1-2c3s2-4-3", "neuron": {"spike_penalty": 0.5}}
    spec = RunSpec.make(str(data), train=TRAIN | {"loss_scale": 2**15}, **options)
    whole, broken = (session(spec, tmp_path / name) for name in ("whole.npz", "checkpoint.npz"))

    def halving(trainer, last=None):
        """Halves the scale before the third minibatch; true before the one with the number ``last``."""
        asked = iter(range(2 * MINIBATCHES + 9))

        def stop() -> bool:
            if (number := next(asked)) == 2:
                trainer.scaler.after(overflowed=True)
            return number == last

        return stop

    whole.run(Watch(), halving(whole))
    assert whole.scaler.scale <= 2**14
    with pytest.raises(Interrupted, match="after minibatch 4"):
        broken.run(Watch(), halving(broken, 4))
    path = tmp_path / "checkpoint.npz"
    resumed = session(spec, path, Checkpoint.load(path))
    resumed.run(Watch())
    for found, expected in zip(final(resumed), final(whole), strict=True):
        assert (found == expected).all()
    plain = RunSpec.make(str(data), train=TRAIN, **OPTIONS | {"net": "3x3x1-2c3s2-4-3"})
    assert plain.cfg == replace(spec.cfg, others="")


def test_an_update_that_overflows_is_undone_and_halves_the_scale(data, tmp_path):
    """Momenta carry the loss scale: a smaller one mends them."""
    spec = RunSpec.make(str(data), train=TRAIN | {"loss_scale": 2**15, "learning_rate": 1e-6}, **OPTIONS)
    trainer = session(spec, tmp_path / "checkpoint.npz")
    state = trainer.lockstep.golden_state()
    for name in state["momentum"]:
        state["momentum"][name][:] = 0x7BFF  # the largest number
    trainer.lockstep.load_state(state)
    trainer.run(Watch(), limit=1)
    assert trainer.scaler.skipped == 1 and trainer.scaler.scale == 2**14
    assert trainer.lockstep.compare.state((Space.WEIGHTS, Space.MOMENTUM)) == (0, None)
    after = trainer.lockstep.golden_state()
    for space, tensors in state.items():
        for name in tensors:
            np.testing.assert_array_equal(after[space][name], tensors[name])


def test_moments_that_overflow_halve_their_own_scale(data, tmp_path):
    """Of Adam, on the RTL as in golden, and the update is undone; a gradient too large for a float halves the loss
    scale."""
    spec = RunSpec.make(str(data), train=TRAIN | {"optimizer": "adam", "loss_scale": 2**12}, **OPTIONS)
    trainer = session(spec, tmp_path / "checkpoint.npz")
    lockstep = trainer.lockstep
    state = lockstep.golden_state()

    def run_with(gradient: float):
        lockstep.golden.gradients[0]["linear2.weight"][:] = gradient
        lockstep.learner.load_gradients(lockstep.golden.bits(Space.GRADIENTS))
        trainer.run(Watch(), limit=1)
        assert lockstep.compare.state(tuple(lockstep.state.values())) == (0, None)
        for space, tensors in lockstep.golden_state().items():
            for name, bits in tensors.items():
                np.testing.assert_array_equal(bits, state[space][name])

    run_with(2.0**14)
    assert trainer.scaler == LossScaler(2.0**12, carry=0.5, skipped=1, power=SCALED - 1)
    run_with(2.0**18)
    assert trainer.scaler == LossScaler(2.0**11, carry=0.5, skipped=2, power=SCALED - 1)


def test_a_run_that_prunes_says_how_many_weights_are_0(data, tmp_path):
    """Those of the RTL, and a warning where a layer has none left."""
    spec = RunSpec.make(str(data), train=TRAIN | {"prune": 0.5}, **OPTIONS)
    text = StringIO()
    record = train(spec, tmp_path, Console(file=text, width=100))
    weights = Checkpoint.load(tmp_path / "checkpoint.npz").tensors("weights")
    own = [weights[layer.weight] for layer in spec.network.layers]
    share = sum((values == 0).sum() for values in own) / sum(values.size for values in own)
    assert record.verdict.bit_exact and record.verdict.zero_weights == share > 0.9
    assert f"Weights that are 0: {100 * share:.2f} %" in text.getvalue()
    gone = next(layer.node for layer in spec.network.layers if not weights[layer.weight].any())
    assert f"warning: every weight of {gone}" in text.getvalue() and "Lower --prune" in text.getvalue()
    assert "weights that are 0" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("rate, kind", [(1e4, NumericFault), (1e30, TridentError)])
def test_weights_that_overflow_name_the_learning_rate(tmp_path, rate, kind):
    spec = RunSpec.make("digits", net="64-16-10", preset="TINY", train={"learning_rate": rate, "epochs": 1})
    watch = Watch()
    watch.start = lambda *_: None
    with pytest.raises(kind, match="lower the learning rate"):
        session(spec, tmp_path / "checkpoint.npz").run(watch)
    assert watch.epochs == 0


def test_a_network_that_cannot_learn_says_so(data, tmp_path):
    spec = RunSpec.make(str(data), train=TRAIN, neuron={"threshold": 50.0}, **OPTIONS)
    text = StringIO()
    record = train(spec, tmp_path, Console(file=text, width=100))
    assert text.getvalue().count("warning: conv1 has not fired once") == 1
    assert "Lower --threshold" in text.getvalue()
    assert record.series["RTL"][-1].test_accuracy == 0 and record.series["RTL"][-1].undecided == 1
    assert any("conv1 has not fired once" in sentence for sentence in record.warnings)
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Warnings</h2>" in page and "What the test samples were taken for" in page


def test_command_from_start_to_report(spec, tmp_path):
    text = StringIO()
    train(spec, tmp_path / "out", Console(file=text, width=100))
    said = text.getvalue()
    assert "epoch  2" in said and "weights equal the golden trainer's, bit for bit" in said
    run = RunRecord.from_json((tmp_path / "out" / "run.json").read_text())
    assert run.verdict.bit_exact and len(run.series["RTL"]) == 2
    for name, cycles in run.engines.items():
        assert min(cycles.values()) >= 0 and cycles["busy"] > 0, name
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Bit-exact" in page and "Where the cycles went" in page
    with pytest.raises(TridentError, match="has done 2 epochs"):
        one = RunSpec.make(spec.dataset.name, train=TRAIN | {"epochs": 1}, **OPTIONS)
        train(one, tmp_path / "out", Console(file=text), resume=True)
    with pytest.raises(TridentError, match="has seed 7, not 8"):
        other = RunSpec.make(spec.dataset.name, train=TRAIN | {"seed": 8}, **OPTIONS)
        train(other, tmp_path / "out", Console(file=text), resume=True)


@pytest.mark.parametrize("preset", ["FPGA", "COMPACT"])
def test_cores_that_count_little_have_a_report(data, tmp_path, preset):
    """A run to its end on a core that counts useful additions, and on one that only counts for how long it runs."""
    spec = RunSpec.make(str(data), train=TRAIN | {"epochs": 1}, net=OPTIONS["net"], preset=preset)
    train(spec, tmp_path, Console(file=StringIO()))
    record = RunRecord.from_json((tmp_path / "run.json").read_text())
    assert record.verdict.weights_differing == 0
    cycles = [sum(engine.values()) for engine in record.engines.values()]
    assert cycles == [record.counters["cycles"]] * 3 and all(engine["idle"] for engine in record.engines.values())
    page = (tmp_path / "report.html").read_text()
    assert ("busy of that" in page) == (preset == "FPGA") and "share running" in page


def test_ctrl_c_leaves_a_checkpoint(spec, tmp_path, monkeypatch):
    monkeypatch.setattr("trident.host.cli.run.Plain", lambda _: Pressing(3))
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="epoch 1 after minibatch 3"):
        train(spec, tmp_path, Console(file=StringIO()))
    assert signal.getsignal(signal.SIGINT) == handler
    assert Checkpoint.load(tmp_path / "checkpoint.npz").progress["minibatch"] == 3


class Pressing(Watch):
    """Ctrl-C after some minibatches."""

    def __init__(self, at):
        super().__init__(at, lambda: os.kill(os.getpid(), signal.SIGINT))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_waves_hold_what_the_vcd_held(tmp_path):
    (tmp_path / "a.vcd").write_text(
        "$timescale 1ns $end\n$scope module top $end\n$var wire 1 # clk $end\n$scope module u $end\n"
        "$var wire 4 $ bus [3:0] $end\n$var wire 1 # clk $end\n$upscope $end\n$upscope $end\n$enddefinitions $end\n"
        "#0\n0#\nb10 $\n#5\n1#\n#10\n0#\nb1x01 $\n"
    )
    convert(tmp_path / "a.vcd", tmp_path / "a.fst")
    lib = pylibfst.lib
    fst = lib.fstReaderOpen(str(tmp_path / "a.fst").encode())
    _, signals = pylibfst.get_scopes_signals2(fst)
    assert sorted(signals.by_name) == ["top.clk", "top.u.bus [3:0]", "top.u.clk"]
    assert signals.by_name["top.clk"].handle == signals.by_name["top.u.clk"].handle
    changes = []
    lib.fstReaderSetFacProcessMaskAll(fst)
    pylibfst.fstReaderIterBlocks(
        fst, lambda _, time, handle, value: changes.append((time, handle, pylibfst.string(value)))
    )
    lib.fstReaderClose(fst)
    clk, bus = signals.by_name["top.clk"].handle, signals.by_name["top.u.bus [3:0]"].handle
    held = [(0, clk, "0"), (0, bus, "0010"), (5, clk, "1"), (10, clk, "0"), (10, bus, "1x01")]
    assert sorted(changes) == sorted(held)


def test_record_is_plain_json(spec, unbroken):
    json.dumps(unbroken.spec.settings())
    assert unbroken.spec.settings()["network"] == OPTIONS["net"]
