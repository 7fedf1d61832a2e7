"""The command ``energy``: its figures, and what it refuses."""

import json
import re

import pytest
from click.testing import CliRunner

from tests.host.train.stripes import stripes
from trident.cli import REFUSED, guarded
from trident.host.cli.energy import energy_command
from trident.host.energy.table import FOLDER
from trident.host.train.checkpoint import FEDERATED, GOLDEN, TRAINING, Checkpoint
from trident.host.train.golden_run import GoldenRun
from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError

STRIPES = "3x3x1-4c3-3"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """What the command writes is kept nowhere."""
    monkeypatch.chdir(tmp_path)


def energy(*arguments: str) -> str:
    """What the command prints."""
    return CliRunner().invoke(energy_command, arguments, standalone_mode=False, catch_exceptions=False).output


def test_a_residual_network_by_its_name():
    dense, sparse = (energy("--net", "resnet", "--zeros", zeros, "--batch", "2") for zeros in ("0", "80"))
    assert all(f"\n{layer} " in dense for layer in ("conv1", "conv2a", "conv3s", "linear6"))
    found = [float(re.search(r"TFLOPS/W, dense-equivalent: ([\d.]+)", text)[1]) for text in (dense, sparse)]
    assert found[0] < found[1] / 2


@pytest.mark.parametrize("options", [
    ("8x8x1-8c3-8c3s2-10", "--norm", "ws"), ("8x8x1-8c3-8c3s2-10", "--norm", "bn"), ("8x8x1-8c3m2-10",),
    ("64-12rec-10",), ("64-12-10", "--neuron", "plif"), ("8x8x1-8c3-ms8-10",), ("8x8x1-8c3bn-res8bn-10",),
    ("8x8x1-8c3-sew8and-10",),
])  # fmt: skip
def test_what_layers_can_have(options):
    assert "TFLOPS/W, dense-equivalent" in energy("--net", *options, "--zeros", "50")


def test_zeros_that_are_no_share_are_refused():
    with pytest.raises(TridentError, match="zeros must be a number of per cent from 0 to 100, not 101"):
        energy("--zeros", "101")


def test_the_plot_is_written(tmp_path):
    out = tmp_path / "plot"
    said = energy("--net", "64-8-10", "--zeros", "50", "--batch", "2", "--out", str(out))
    assert str(out / "energy.svg") in said
    assert "weight_grad" in (out / "energy.svg").read_text() and (out / "energy.png").read_bytes()[1:4] == b"PNG"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Options that name a data set and a network for it, and the checkpoint of a run on golden alone."""
    folder = tmp_path_factory.mktemp("trained")
    data = stripes(folder)
    spec = RunSpec.make(data, net=STRIPES, preset="TINY", norm="ws", train={"batch": 4, "epochs": 2})
    GoldenRun(spec, folder / "golden.npz").run(lambda *_: None)
    return ("--data", data, "--net", STRIPES, "--preset", "TINY", "--norm", "ws"), folder / "golden.npz"


def test_weights_of_golden_and_of_the_rtl(trained, tmp_path):
    options, golden = trained
    state = Checkpoint.load(golden, GOLDEN)
    Checkpoint(state.settings, state.progress, state.arrays, TRAINING).save(tmp_path / "rtl.npz")
    found = [energy(*options, *more) for more in (
        (), ("--weights", str(golden)), ("--weights", str(tmp_path / "rtl.npz")),
    )]  # fmt: skip
    assert found[1] == found[2] != found[0]


def test_weights_that_are_none_are_refused(trained, tmp_path):
    options, golden = trained
    state = Checkpoint.load(golden, GOLDEN)
    Checkpoint(state.settings, state.progress, state.arrays, FEDERATED).save(tmp_path / "federated.npz")
    for path, message in {
        tmp_path / "federated.npz": "the checkpoint of a federated run, not of a training or golden one",
        tmp_path: "not a checkpoint of this program", tmp_path / "none.npz": "there is no checkpoint with weights",
    }.items():  # fmt: skip
        with pytest.raises(TridentError, match=message):
            energy(*options, "--weights", str(path))
    with pytest.raises(TridentError, match="has no weights of this network: conv1.weight of shape"):
        energy("--data", options[1], "--net", "3x3x1-5c3-3", "--preset", "TINY", "--weights", str(golden))
    with pytest.raises(TridentError, match="give zeros, .* or weights, .* not both"):
        energy(*options, "--weights", str(golden), "--zeros", "80")


@pytest.mark.parametrize("content, message", [
    (None, "cannot be read (No such file or directory): name a JSON file or one of neuromc"),
    ("{", "is no JSON"), ("[" * 100_000, "is no JSON"), ("[]", "the table must be a mapping, not []"),
    ({"unit": "J"}, "unit 'J' is not known: fJ, pJ, nJ"),
    ({"operations": {"add": float("nan")}}, "operations lacks multiply, select"),
])  # fmt: skip
def test_a_table_that_is_none_is_refused_in_a_line(tmp_path, capsys, content, message):
    path = tmp_path / "table.json"
    if isinstance(content, dict):
        content = json.dumps(json.loads((FOLDER / "neuromc.json").read_text()) | content)
    if content is not None:
        path.write_text(content)
    arguments = ["--net", "64-8-10", "--table", str(path)]
    assert guarded(lambda: energy_command.main(arguments, standalone_mode=False)) == REFUSED
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1 and str(path) in told


def test_a_table_by_which_nothing_costs_is_refused(tmp_path):
    values = json.loads((FOLDER / "neuromc.json").read_text())
    values["operations"] = dict.fromkeys(values["operations"], 0)
    values["memories"] = {name: {"port_bits": 1, "read": 0, "write": 0} for name in values["memories"]}
    (tmp_path / "free.json").write_text(json.dumps(values | {"name": "free"}))
    with pytest.raises(TridentError, match="by the table free nothing of this training takes energy"):
        energy("--net", "64-8-10", "--zeros", "50", "--table", str(tmp_path / "free.json"))


@pytest.mark.parametrize("preset", ["FPGA", "COMPACT"])
def test_a_preset_that_counts_less_is_refused(preset):
    with pytest.raises(TridentError, match="the presets that count everything are TINY, SMALL, WIDE"):
        energy("--net", "64-8-10", "--zeros", "50", "--preset", preset)
