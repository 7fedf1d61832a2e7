"""The command line: what is refused, and how; what the commands that simulate nothing write."""

from dataclasses import replace

import numpy as np
import pytest

from trident import cli
from trident.host.compile.chip_plan import ChipPlan
from trident.host.compile.sizing import configure, fit
from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError
from trident.sim.golden import on_torch
from trident.sim.rtl.build import BuildError
from trident.snn.network.network import Network

GOOD = {"images": np.eye(12, dtype=np.float32), "labels": np.arange(12) % 3}


def run(capsys, *arguments):
    """Exit code, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    return end.value.code, *capsys.readouterr()


def _never_built(*_, **__):
    pytest.fail("a simulation was built")


@pytest.fixture
def untouched(tmp_path, monkeypatch):
    """A folder that a refused run must not make, and a simulation that it must not build."""
    monkeypatch.setattr("trident.host.driver.target.VerilatedChip", _never_built)
    folder = tmp_path / "out"
    yield folder
    assert not folder.exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--preset", "HUGE"], ["'HUGE'", "TINY, SMALL, FPGA, COMPACT, WIDE"]),
        (["--set", "lames=4"], ["'lames'", "lanes"]),
        (["--set", "jobs"], ["name=value", "'jobs'"]),
        (["--set", "jobs=8", "--set", "jobs=16"], ["jobs", "twice"]),
        (["--set", "jobs=9000"], ["jobs", "4 to 4096", "9000"]),
        (["--set", "lanes=4"], ["--lanes"]),
        (["--nets", "64-10"], ["--nets"]),
        (["--lanes", "many"], ["--lanes", "many", "whole number"]),
        (["--lanes", "64"], ["lanes", "1 to 32", "64"]),
        (["--lanes", "3"], ["lanes", "power of two", "3"]),
        (["--cols", "16"], ["cols", "16", "8"]),
        (["-T", "0"], ["timesteps", "1 to 2048", "0"]),
        (["-T", "2049"], ["timesteps", "1 to 2048", "2049"]),
        (["-T", "100", "--preset", "COMPACT"], ["a sample of 100 timesteps needs chunks of timesteps, which"]),
        (["-T", "100", "--preset", "TINY"], ["chunks of 4 need exact gradients"]),
        (["-T", "101", "--net", "64-9bn-10"], ["one chunk of timesteps, not of 4"]),
        (["--set", "spare=8"], ["spare of 8 must be less than timesteps, which is 8"]),
        (["-T", "2048", "--net", "64-9-9-10", "--set", "jobs=64"], ["3 layers of 64 chunks of timesteps need jobs"]),
        (["--epochs", "0"], ["epochs", "at least 1", "0"]),
        (["--batch", "1438"], ["batch of 1438", "1437"]),
        (["--lr", "nan"], ["learning rate", "finite"]),
        (["--lr", "1e60"], ["learning rate of 1e+60"]),
        (["--epochs", "400", "--halve-every", "1"], ["becomes 3.87e-121", "another schedule"]),
        (["--momentum", "1"], ["momentum", "below 1"]),
        (["--momentum", "0.99999999"], ["momentum of 0.99999999 rounds to 1"]),
        (["--window", "1e-9"], ["window of 1e-09", "too narrow"]),
        (["--window", "1e-6", "--surrogate", "triangle"], ["window of 1e-06", "too narrow"]),
        (["--mesh", "5x4", "--partition", "9x9"], ["partition '9x9'"]),
        (["--mesh", "16x16"], ["a mesh of 16x16 is for forecasts", "jobs name cores of up to 8x8"]),
        (["--mesh", "5x4", "--placement", "0,1,1"], ["names mesh core 1 twice"]),
        (["--mesh", "2x1", "--placement", "0,7"], ["mesh core 7", "cores 0 to 1"]),
        (["--target", "sim-link", "--baud", "0"], ["baud must be within 1"]),
        (["--net", "64-²-10"], ["'²'"]),
        (["--net", "64-" + "9" * 5000 + "-10"], ["characters is no shorthand"]),
        (["--net", "64-٣-10"], ["'٣'"]),
        (["--epochs", "٣"], ["is not a whole number"]),
        (["--net", "x" * 5000 + ".toml"], ["cannot be read: File name too long"]),
        (["--data", "x" * 5000], ["cannot be read: File name too long"]),
        (["--loss-scale", "3"], ["loss scale", "power of two", "3"]),
        (["--seed", "-1"], ["seed", "-1"]),
        (["--bin-us", "1000"], ["bin_us is of event recordings, and digits has none"]),
        (["--encoding", "morse"], ["encoding", "rate, dither, bernoulli", "'morse'"]),
        (["--reset", "warm"], ["reset", "hard or soft", "'warm'"]),
        (["--surrogate", "step"], ["surrogate", "rectangle or triangle", "'step'"]),
        (["--surrogate", "sigmoid", "--preset", "COMPACT"], ["surrogate of sigmoid", "shared_engine has not"]),
        (["--beta2", "0.9"], ["beta2 is of the optimizers adam", "sgd"]),
        (["--optimizer", "adam", "--epsilon", "1e-12"], ["an epsilon that becomes", "rounds to 0"]),
        (["--optimizer", "adam", "--beta2", "0.99999"], ["a beta2 of 0.99999 rounds to 1"]),
        (["--optimizer", "adam", "--nesterov"], ["nesterov is for the optimizer sgd"]),
        (["--net", "net.toml", "--no-bias"], ["bias is of the shorthand"]),
        (["--preset", "COMPACT", "--loss", "cross-entropy"], ["loss of softmax", "shared_engine has not"]),
        (["--class-weights", "1,2"], ["class weights must be 10 numbers", "one for each class", "'1,2'"]),
        (["--class-weights", "1,-1"], ["a class weight must be at least 0, not -1"]),
        (["--class-weights", "nan"], ["a class weight must be a finite number, not nan"]),
        (["--class-weights", "0"], ["class weights of 0 leave nothing to learn"]),
        (["--class-weights", "balanced", "--net", "64-12"], ["class 10 has no training sample"]),
        (["--class-weights", "balanced", "--preset", "COMPACT"], ["for class weights, needs", "shared_engine has not"]),
        (["--spike-penalty", "-1"], ["spike_penalty must be at least 0, not -1"]),
        (["--spike-penalty", "1e-9"], ["spike_penalty of 1e-09 adds", "'neuron1'", "does not hold"]),
        (["--spike-penalty", "1e9"], ["spike_penalty of 1000000000.0 adds", "does not hold"]),
        (["--spike-penalty", "1", "--net", "64-9-10"], ["its 9 channels must be a multiple of lanes", "8"]),
        (["--spike-penalty", "1", "--preset", "COMPACT"], ["others of lif/hard/rectangle/penalty", "engine has not"]),
        (["--prune", "-1"], ["prune must be at least 0, not -1"]),
        (["--prune", "1e-8"], ["prune of 1e-08 is 5e-09 in an update", "does not hold"]),
        (["--prune", "1e9"], ["prune of 1e+09 is 5e+08 in an update", "does not hold"]),
        (["--prune", "1", "--preset", "COMPACT"], ["optimiser of sgd-prune", "shared_engine has not"]),
        (["--set", "loss_tables=10"], ["loss_tables has an option of its own", "--class-weights"]),
        (["--set", "charge=if"], ["charge has an option of its own", "--neuron"]),
        (["--surrogate", "atan", "--set", "frac=2"], ["the function α / 2", "frac of at least 3"]),
        (["--schedule", "cosine", "--halve-every", "2"], ["halve_every is of the schedule step", "cosine"]),
        (["--synapse", "0.5"], ["synapse is of synaptic neurons", "lif"]),
        (["--threshold", "1e9"], ["threshold"]),
        (["--net", "64"], ["'64'", "no layer"]),
        (["--net", "64-lots-10"], ["'lots'"]),
        (["--net", "8x8x1-4c12-10"], ["kernel", "1 to 11", "12"]),
        (["--net", "8x8x1-4c7p0-4c7p0-10"], ["'4c7p0'", "2x2"]),
        (["--net", "32-10"], ["64", "32"]),
        (["--net", "64-9"], ["10 classes", "9 outputs"]),
        (["--net", "64-100000-10"], ["7500010 weights", "524288"]),
        (["--net", "64-128-10", "--set", "weight_rows=1024"], ["need", "more than", "weight_rows"]),
        (["--net", "64-128-10", "--set", "spike_words=8"], ["need", "more than", "spike_words"]),
        (["--net", "64-128-10", "--set", "error_words=8"], ["need", "more than", "error_words"]),
        (["--data", "nothing.npz"], ["nothing.npz", "does not exist"]),
        (["--resume"], ["no checkpoint"]),
        (["--waves", "-1"], ["waves", "-1"]),
        (["--waves", "1", "--resume"], ["waves or resume"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("-") else "",
)
def test_bad_options_are_refused_in_one_sentence(capsys, untouched, arguments, words):
    code, out, err = run(capsys, "train", "--out", untouched, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    for word in words:
        assert word in err


@pytest.mark.parametrize(
    "change, word",
    [
        ({"images": None}, "images"),
        ({"labels": None}, "labels"),
        ({"images": np.array(["a"] * 12)}, "real numbers"),
        ({"labels": np.linspace(0, 1, 12)}, "whole numbers"),
        ({"images": np.full((12, 4), np.nan)}, "NaN"),
        ({"labels": np.arange(12) - 1}, "from 0 to"),
        ({"classes": np.array(2)}, "label 2"),
        ({"images": np.zeros((0, 4)), "labels": np.zeros(0, int)}, "empty"),
        ({"images": np.eye(11)}, "11"),
    ],
)
def test_bad_data_are_refused_in_one_sentence(capsys, untouched, tmp_path, change, word):
    arrays = {name: values for name, values in (GOOD | change).items() if values is not None}
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays)
    code, out, err = run(capsys, "train", "--out", untouched, "--data", path)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1 and "mine.npz" in err and word in err


@pytest.mark.parametrize("target", ["rtl", "golden"])
def test_golden_on_torch_is_refused_where_it_is_missing(capsys, untouched, monkeypatch, target):
    """Before a simulation is built or a folder made."""
    monkeypatch.setattr(on_torch, "torch", None)
    code, out, err = run(capsys, "train", "--out", untouched, "--target", target, "--golden", "torch")
    assert (code, out) == (2, "") and err.startswith("error: GOLDEN=torch needs PyTorch") and err.count("\n") == 1


def test_a_damaged_checkpoint_is_refused(capsys, tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(b"PK\3\4 no more")
    code, _, err = run(capsys, "train", "--out", tmp_path, "--resume")
    assert code == 2 and "damaged" in err and err.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_refused(capsys, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = run(capsys, "train", "--out", tmp_path / "file" / "out")
    assert code == 2 and "nothing can be written to" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "fault, code, words",
    [
        (TridentError("too big"), 2, "error: too big\n"),
        (BuildError("no g++"), 1, "error: no g++\n"),
        (KeyboardInterrupt(), 130, "interrupted: "),
    ],
)
def test_exit_codes(capsys, monkeypatch, fault, code, words):
    def refuse(*_):
        raise fault

    monkeypatch.setattr("trident.host.cli.commands.train", refuse)
    found, _, err = run(capsys, "train")
    assert found == code and words in err and "Traceback" not in err


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["verilog", "-h"], ["presets"]])
def test_help_and_presets(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "") and out


def test_no_command_shows_the_help(capsys):
    code, _, err = run(capsys)
    assert code == 2 and "train" in err and "Traceback" not in err


def test_verilog_is_the_same_twice(capsys, tmp_path):
    for name in ("a", "b"):
        code, _, err = run(capsys, "verilog", "--preset", "tiny", "--lanes", 4, "--out", tmp_path / name)
        assert (code, err) == (0, "")
    for file in ("trident_core.v", "ports.md"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    table = (tmp_path / "a" / "ports.md").read_text()
    design = (tmp_path / "a" / "trident_core.v").read_text()
    assert "| lanes | 4 |" in table and "### trident_core\n" in table and "| `i__flit` | input | 33 |" in table
    assert table.count("\n### ") == design.count("\nendmodule")
    # Every port that the Verilog declares is in the table
    declared = sum(line.startswith(("  input ", "  output ")) for line in design.splitlines())
    assert table.count("| input |") + table.count("| output |") == declared


def test_memories_grow_to_the_network_unless_they_are_given():
    network = Network.parse("784-128-10")
    small = configure("SMALL")
    grown = fit(network, small)
    assert grown.weight_rows == 16384 and replace(grown, weight_rows=small.weight_rows) == small
    assert ChipPlan(network, grown).plans[0].layers[0].weights.rows == 12672
    with pytest.raises(TridentError, match="more than"):
        fit(network, small, frozenset({"weight_rows"}))
    assert fit(Network.parse("64-128-10"), small) == small


def test_accumulators_follow_lanes_and_columns():
    assert configure("TINY", lanes=16).accumulators == 16
    assert configure("TINY", lanes=16, cols=4).weight_grad_cols == 4
    with pytest.raises(TridentError, match="accumulators of 8 must be at least 16"):
        configure("TINY", lanes=16, accumulators=8)


def test_defaults_follow_the_data(tmp_path):
    path = tmp_path / "spikes.npz"
    np.savez(path, spikes=np.zeros((12, 5, 6), np.uint8), labels=np.arange(12) % 3)
    spec = RunSpec.make(str(path))
    assert (spec.network_text, spec.cfg.timesteps, spec.train.batch) == ("6-128-3", 5, 9)
    assert RunSpec.make("digits", train={"batch": 8}, core={"lanes": 4}).cfg.lanes == 4
    mnist = RunSpec.make("mnist", train={"epochs": 7})
    assert (mnist.network_text, mnist.train.epochs, mnist.train.learning_rate) == ("784-128-10", 7, 0.25)
