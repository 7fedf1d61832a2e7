"""Folders of event recordings: samples and labels, or a refusal in a sentence; and runs on them."""

import tracemalloc

import numpy as np
import pytest

from tests.snn.data.recordings import SIDES, recording, write
from trident.cli import main
from trident.host.federated.spec import FederatedSpec
from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError
from trident.snn.data import event_folder, events, reading
from trident.snn.data.dataset import load
from trident.snn.data.event_folder import read_event_folder
from trident.snn.data.samples import samples

GOOD = [(1, 2, 0, 3), (4, 5, 1, 6)]
LEFT, RIGHT = [(3, 3, 1, 0), (4, 3, 1, 79)], [(30, 3, 0, 10), (31, 3, 0, 20)]
PARTS = {"Train": {"0": [LEFT] * 3, "1": [RIGHT] * 2}, "Test": {"0": [LEFT], "1": [RIGHT]}}


@pytest.mark.parametrize("suffix", SIDES)
def test_a_folder(tmp_path, suffix):
    folder = write(tmp_path / "own", PARTS, suffix)
    (folder / "README.txt").write_text("not read")
    (folder / ".hidden").mkdir()
    data = load(folder, timesteps=4)
    side = SIDES[suffix]
    assert data.holds_spikes and data.shape == (side, side, 2)
    assert data.train.shape == (5, 4, side, side, 2) and data.test.shape == (2, 4, side, side, 2)
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1] and data.test_labels.tolist() == [0, 1]
    assert data.classes == 2 and data.bin_us == 20 and data.notes == ()
    assert np.argwhere(data.train[0]).tolist() == [[0, 3, 3, 1], [3, 3, 4, 1]]
    assert np.argwhere(data.train[4]).tolist() == [[0, 3, 30, 0], [0, 3, 31, 0]]


def test_the_default_covers_the_longest_recording_and_no_more(tmp_path):
    folder = write(tmp_path / "own", PARTS)
    for timesteps in (1, 2, 3, 79, 80, 81):
        found = read_event_folder(folder, [folder / "Train", folder / "Test"], timesteps)
        assert found.left_out == 0 and found.bin_us * timesteps >= 80 > (found.bin_us - 1) * timesteps


def test_events_after_the_last_timestep_are_left_out(tmp_path):
    data = load(write(tmp_path / "own", PARTS), timesteps=4, bin_us=5)
    assert data.bin_us == 5 and data.train[0].sum() == 1
    assert data.notes == (f"29 % of the events of {tmp_path}/own are left out: they come after 4 timesteps of 5 µs",)


def test_several_events_are_one_spike(tmp_path):
    folder = write(tmp_path / "own", {"": {"a": [[(1, 1, 0, 0)] * 9] * 4, "b": [RIGHT] * 4}})
    counts = read_event_folder(folder, [folder / "a", folder / "b"], 2).arrays["counts"]
    assert counts.max() == 9
    data = load(folder, timesteps=2)
    assert data.train.max() == 1 and (len(data.train), len(data.test)) == (6, 2)


@pytest.mark.parametrize("names, expected", [
    (["10", "2", "1"], ["1", "2", "10"]), (["b", "a", "10"], ["10", "a", "b"]),
    (["cat", "Bird", "ant"], ["Bird", "ant", "cat"]),
])  # fmt: skip
def test_the_order_of_classes(tmp_path, names, expected):
    """x of a recording is the place of its class."""
    parts = {"TRAIN": {name: [[(expected.index(name), 0, 0, 0)]] for name in names}, "test": {names[0]: [LEFT]}}
    data = load(write(tmp_path / "own", parts), timesteps=1)
    np.testing.assert_array_equal(data.train[:, 0, 0, :, 0].argmax(1), data.train_labels)
    assert data.test_labels.tolist() == [expected.index(names[0])] and data.classes == 3
    assert data.notes[0].startswith("the test part has no sample of classes")


def _without(folder, *gone):
    for path in gone:
        (folder / path).unlink()


FOLDERS = {
    "own/Train/1 holds no recordings, which are .bin or .aedat files":
        lambda own: _without(own, "Train/1/00000.bin", "Train/1/00001.bin"),
    "own/Test has no folder of recordings for each class":
        lambda own: [path.rename(own / f"away{path.name}") for path in (own / "Test").iterdir()],
    "holds Test but no folder Train": lambda own: (own / "Train").rename(own / "Training"),
    "own holds both Train and train|own holds both train and Train": lambda own: (own / "train").mkdir(),
    "recordings must be of one format, but .*/more.aedat and .*/00000.bin are of two":
        lambda own: (own / "Train/1/more.aedat").write_bytes(recording(GOOD, ".aedat")),
    "own/Test/0/00000.bin is cut short": lambda own: (own / "Test/0/00000.bin").write_bytes(bytes(7)),
    "00009.bin is a folder: give a recording": lambda own: (own / "Train/0/00009.bin").mkdir(),
    "holds IDX files and folders of event recordings": lambda own: (own / "train-images-idx3-ubyte").write_bytes(b""),
}  # fmt: skip


@pytest.mark.parametrize("words, change", FOLDERS.items(), ids=list(FOLDERS))
@pytest.mark.parametrize("bin_us", [None, 10])
def test_faults_of_a_folder(tmp_path, words, change, bin_us):
    change(write(tmp_path / "own", PARTS))
    with pytest.raises(TridentError, match=words) as refused:
        load(tmp_path / "own", bin_us=bin_us)
    assert "\n" not in str(refused.value)


def test_recordings_without_folders_of_classes(tmp_path):
    (tmp_path / "00000.bin").write_bytes(recording(GOOD))
    with pytest.raises(TridentError, match="holds neither IDX files, .* nor a folder of event recordings, .* class"):
        load(tmp_path)


def test_folders_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reading.Path, "iterdir", refuse)
    with pytest.raises(TridentError, match=f"the folder {tmp_path} cannot be read: Permission denied"):
        load(tmp_path)


def test_recordings_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    folder = write(tmp_path / "own", PARTS)
    monkeypatch.setattr(events.Path, "open", refuse)
    with pytest.raises(TridentError, match="00000.bin cannot be read: Permission denied"):
        load(folder)


def test_more_than_the_memory_has_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(event_folder, "memory_share", lambda: 100_000)
    with pytest.raises(TridentError, match="the 7 recordings of .*own take 126 KiB with 8 timesteps, more than the 97"):
        load(write(tmp_path / "own", PARTS))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, bool])
def test_spikes_are_checked_without_arrays_of_their_size(dtype):
    spikes = np.ones((4, 4, 512, 512, 2), dtype)
    tracemalloc.start()
    found = samples("own", "spikes", spikes)
    assert tracemalloc.get_traced_memory()[1] < (1 << 20 if dtype == np.uint8 else spikes.nbytes + (1 << 20))
    tracemalloc.stop()
    assert found.dtype == np.uint8 and found.all()


@pytest.mark.parametrize("bin_us", [0, -1, 1 << 33, 1.5])
def test_bin_us(tmp_path, bin_us):
    with pytest.raises(TridentError, match="bin_us must be a whole number of microseconds from 1 to 4294967296, not"):
        load(write(tmp_path / "own", PARTS), bin_us=bin_us)


@pytest.fixture
def sides(tmp_path):
    """Events on the left or on the right, in other places in every recording."""
    rng = np.random.default_rng(0)

    def recordings(first: int, number: int):
        return [[(first + int(x), int(y), 0, 1000 * t) for t, (x, y) in enumerate(rng.integers(0, 5, (60, 2)))]
                for _ in range(number)]  # fmt: skip

    numbers = {"Train": 64, "Test": 8}
    parts = {part: {"left": recordings(0, number), "right": recordings(17, number)} for part, number in numbers.items()}
    return write(tmp_path / "sides", parts)


def test_a_run(sides):
    spec = RunSpec.make(str(sides), preset="TINY", train={"batch": 8}, alone=True, bin_us=7500)
    assert spec.network_text == "2312-128-2" and spec.dataset.train.shape[1] == spec.cfg.steps
    assert spec.settings()["bin_us"] == 7500
    assert "bin_us" not in RunSpec.make(net="64-10").settings()
    assert RunSpec.make(str(sides), train={"timesteps": 5}).dataset.bin_us == 11801


def test_other_runs_take_the_same_timesteps(sides, tmp_path, capsys):
    """``map`` and federated runs."""
    net = ["--net", "2312-8-2", "--mesh", "1x1", "--preset", "SMALL", "--batch", "4", "--set", "weight_rows=4096"]
    with pytest.raises(SystemExit) as end:
        main(["map", "--data", str(sides), *net, "--bin-us", "0", "--out", str(tmp_path)])
    assert end.value.code == 2 and "bin_us must be a whole number of microseconds" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["map", "--data", str(sides), *net, "--bin-us", "7500", "--out", str(tmp_path)])
    assert end.value.code == 0, capsys.readouterr()
    options = {"data": str(sides), "preset": "TINY", "mesh": "1x1", "net": "2312-8-2", "bin_us": 7000}
    assert FederatedSpec.make(options | {"train": {"batch": 8}}).run.dataset.bin_us == 7000


def test_results_are_named_after_the_folder(sides, tmp_path, monkeypatch, capsys):
    """Also where the path does not end with its name."""
    monkeypatch.chdir(tmp_path)
    options = ["--net", "2312-4-2", "--epochs", "1", "--batch", "64", "--target", "golden"]
    with pytest.raises(SystemExit) as end:
        main(["train", "--data", "sides/Train/..", *options])
    assert end.value.code == 0, capsys.readouterr()
    assert (tmp_path / "build" / "train" / "sides" / "golden.npz").exists()


def test_golden_learns(sides, tmp_path, capsys):
    """From the command line."""
    with pytest.raises(SystemExit) as end:
        main(["train", "--data", str(sides), "--net", "2312-32-2", "-T", "6", "--bin-us", "10000", "--epochs", "6",
              "--batch", "16", "--target", "golden", "--out", str(tmp_path / "out")])  # fmt: skip
    said = capsys.readouterr().out.replace("\u2009", " ").replace("\u202f", " ")
    assert end.value.code == 0 and "128 samples to train, 16 to test, 10 000 µs a timestep." in said
    assert "test 100.00 %" in said
