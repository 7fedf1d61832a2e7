"""Whatever the command line and the files are: an end in time, with a sentence, and never with a traceback."""

import gzip
import io
import json
import os
import resource
import sys
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import click
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trident.cli import COMMANDS, load_command, main
from trident.host.train.checkpoint import FEDERATED
from trident.sim.rtl.build import BuildError

SECONDS, MEMORY = 10, 1 << 30
EXAMPLES = int(os.environ.get("FUZZ", 60))  # of every test
TRIED: Counter[str] = Counter()
SPECIAL = [
    "", " ", "[red]", "[/bold]", "[link=x]", "64-²-10", "٣", "1e400", "nan", "inf", "-1", "0", "1", "2", "9" * 5000,
    "x" * 5000, "a\0b", "../..", "/dev/null", "/dev/zero", "/", "%s%n", "'; touch x; '", "\udc80", "🎉", "1_000",
    "0x10", "1,2", "2x2", "5x4", "1x1", "9x9", "0x0", "64-10", "64-9-10", "8x8x1-2c3-10", "64-10-", "digits", "TINY",
    "COMPACT", "hard", "1,2/2", "2x1-2", "0,1", "ulx3s-85f", "core", "mesh20", "rtl", "serial", "sim-link", "words=2",
    "lanes=", "=", "all", "rate", "fedprox:0.1", "dirichlet:0.3", "dirichlet:", "by-class", "zigzag", "0.5", "1e-300",
    "3", "16", "99999999999999999999",
]  # fmt: skip
TEXTS = st.sampled_from(SPECIAL) | st.text(max_size=30)
# Commands that only read their options: the others would run tools or train for long
FUZZED = sorted(set(COMMANDS) - {"bench", "boards", "placer", "presets"})


@pytest.fixture(autouse=True, scope="module")
def count():
    """Says at the end how many inputs were tried, by kind."""
    yield
    print(dict(TRIED), file=sys.stderr)


def _stop(*_, **__):
    raise BuildError("everything was taken, up to the point where something is built")


@pytest.fixture(autouse=True)
def bounded(monkeypatch, tmp_path):
    """Nothing is built, nothing lands outside the folder, and memory is limited."""
    monkeypatch.chdir(tmp_path)
    for place in (
        "trident.host.driver.target.VerilatedChip", "trident.host.driver.target.simulated_chip",
        "trident.host.federated.run._federate", "trident.host.cli.commands.write_verilog",
        "trident.boards.commands._build", "trident.boards.commands.netlist_verilog", "trident.boards.commands.program",
        "trident.boards.asic.commands.measure",
        "trident.host.cli.map.measure_data", "trident.host.train.spec.measure_data",
        "trident.host.mapping.balance.forecast.spread",
    ):  # fmt: skip
        monkeypatch.setattr(place, _stop)
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def end(kind: str, *arguments: str) -> int:
    """The exit code of a command that is called with these arguments; asserts that it ends well."""
    TRIED[kind] += 1
    out, err, began = io.StringIO(), io.StringIO(), monotonic()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    code = stopped.value.code
    assert monotonic() - began < SECONDS, arguments
    assert code in (0, 1, 2), (code, arguments)
    said = err.getvalue()
    assert "Traceback" not in said
    if code:
        assert said.startswith("error: ") or said.startswith("Usage: "), (arguments, said)
        assert len(said) < 10_000
    return code


def _options(name: str):
    """Arguments for some options of a command."""
    command = load_command(COMMANDS[name])
    options = [p for p in command.params if isinstance(p, click.Option)]
    pairs = st.sampled_from(options).flatmap(
        lambda option: st.just([option.opts[0]]) if option.is_flag
        else TEXTS.map(lambda text: [option.opts[0], text])
    )  # fmt: skip
    return st.lists(pairs, max_size=5).map(lambda found: [name, *(word for pair in found for word in pair)])


FEW = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FUZZED)
def test_options(name):
    @FEW
    @given(_options(name))
    def check(arguments):
        end("options", *arguments)

    check()
    assert TRIED["options"]


@pytest.mark.slow
@FEW
@given(st.lists(TEXTS, max_size=4))
def test_words(words):
    if words[:1] != ["bench"]:
        end("words", *words)


# Files
ARRAYS = {"images": np.eye(12, dtype=np.float32), "labels": np.arange(12) % 3}
SHAPES = st.lists(st.integers(0, 5), max_size=5).map(tuple)
KINDS = st.sampled_from(["u1", "i1", "<i8", ">u4", "<u8", "<f2", "<f4", "<f8", "?", "<U3", "<c8", "S2"])


@st.composite
def archives(draw) -> bytes:
    """An .npz that is nearly right: arrays of other shapes, types, names and values, bytes changed, an end cut off."""
    arrays = dict(ARRAYS)
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*ARRAYS, "spikes", "classes", "test_images", "test_labels", "x", "words"]))
        shape, kind = draw(SHAPES), np.dtype(draw(KINDS))
        octets = draw(st.binary(min_size=0, max_size=64)) or b"\0"
        count = int(np.prod(shape)) * kind.itemsize
        arrays[name] = np.frombuffer((octets * (count // len(octets) + 1))[:count], kind).reshape(shape)
    if draw(st.booleans()):
        arrays.pop(draw(st.sampled_from(sorted(arrays))))
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return _damaged(draw, stream.getvalue())


def _damaged(draw, content: bytes) -> bytes:
    octets = bytearray(content)
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        octets[draw(st.integers(0, len(octets) - 1))] ^= draw(st.integers(1, 255))
    return bytes(octets[: draw(st.integers(0, len(octets)))] if draw(st.sampled_from([0, 0, 0, 1])) else octets)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@FEW
@given(archives())
def test_data(content):
    with open("own.npz", "wb") as file:
        file.write(content)
    end("data", "train", "--data", "own.npz", "--preset", "TINY", "--batch", "2")


IDX = {
    f"{part}-{kind}-idx{axes}-ubyte": bytes([0, 0, 8, axes]) + sizes + bytes(range(octets))
    for part in ("train", "t10k")
    for kind, axes, sizes, octets in (
        ("images", 3, b"\0\0\0\x09\0\0\0\2\0\0\0\3", 54), ("labels", 1, b"\0\0\0\x09", 9),
    )
}  # fmt: skip
EVENTS = {
    ".bin": b"".join(bytes([n, n, n % 2 << 7, 0, 9 * n]) for n in range(20)),
    ".aedat": b"#!AER-DAT2.0\r\n" + b"".join(bytes([0, 0, n, n, 0, 0, 1, n]) for n in range(20)),
}
FOLDER = st.sampled_from(["Train/0", "Train/1", "Test/0", "Test/1", "0", "1", ".", "Train", "Test/0/x"])


@st.composite
def folders(draw) -> dict[str, bytes]:
    """The files of a folder that is nearly one of IDX files, or of event recordings: some gone, some damaged, some of
    the other, packed or not."""
    files = {}
    if draw(st.booleans()):
        for name, content in IDX.items():
            packed = draw(st.sampled_from(["", "", ".gz"]))
            files[name + packed] = gzip.compress(content) if packed and draw(st.integers(0, 5)) else content
    else:
        suffix = draw(st.sampled_from(sorted(EVENTS)))
        parts = draw(st.sampled_from([("",), ("Train/", "Test/")]))
        files = {f"{part}{name}/{n}{suffix}": EVENTS[suffix] for part in parts for name in "01" for n in range(3)}
    for name in draw(st.lists(st.sampled_from(sorted(files)), max_size=3)):
        files.pop(name, None)
    if not draw(st.integers(0, 3)):
        suffix = draw(st.sampled_from([*EVENTS, ".txt"]))
        files[f"{draw(FOLDER)}/other{suffix}"] = EVENTS.get(suffix, b"")
    return {name: _damaged(draw, content) if content else b"" for name, content in files.items()}


@pytest.mark.slow
@FEW
@given(folders(), st.sampled_from([[], ["--bin-us", "10"], ["--bin-us", "99999999999"]]))
def test_data_folders(files, options):
    with TemporaryDirectory(dir=".") as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        end("data folders", "train", "--data", folder, "--preset", "TINY", "--batch", "2", *options)


LEAVES = st.none() | st.booleans() | st.integers(-(10**6), 10**30) | st.floats() | TEXTS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))
NETWORK = {
    "input": [8, 8, 1],
    "node": [
        {"name": "c", "kind": "conv", "inputs": ["input"], "channels": 2, "kernel": 3},
        {"name": "n", "kind": "neuron", "inputs": ["c"]},
        {"name": "f", "kind": "flatten", "inputs": ["n"]},
        {"name": "l", "kind": "linear", "inputs": ["f"], "outputs": 10},
        {"name": "o", "kind": "neuron", "inputs": ["l"], "voters": 1},
    ],
}


def _places(value, path=()):
    """The paths of everything within nested lists and dictionaries."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


def _changed(draw, values, times: int):
    """Nested values of which some are others, or gone."""
    values = json.loads(json.dumps(values))
    for _ in range(times):
        paths = [path for path in _places(values) if path]
        if not paths:
            break
        path = draw(st.sampled_from(paths))
        at = values
        for key in path[:-1]:
            at = at[key]
        if draw(st.booleans()) and isinstance(at, dict):
            at.pop(path[-1])
        else:
            at[path[-1]] = draw(VALUES)
    return values


@pytest.mark.slow
@FEW
@given(st.data())
def test_network_files(data):
    values = _changed(data.draw, NETWORK, data.draw(st.integers(0, 3)))
    with open("net.json", "wb") as file:
        file.write(_damaged(data.draw, json.dumps(values).encode("utf-8", "replace")))
    end("network files", "train", "--net", "net.json", "--preset", "TINY")


@pytest.mark.slow
@FEW
@given(st.data())
@pytest.mark.parametrize("command", ["train", "federated"])
def test_checkpoints(command, data):
    kind = data.draw(st.sampled_from(["training", FEDERATED]))
    values = {"settings": {"seed": 0}, "progress": {"epoch": 1, "rounds": [], "scales": [1.0], "minibatch": 0}}
    values = _changed(data.draw, values, data.draw(st.integers(0, 3)))
    os.makedirs("run", exist_ok=True)
    arrays = {"weights/linear1.weight": np.zeros((1, 64, 10), np.uint16)}
    words = {"version": 4, "kind": kind, **values}
    stream = io.BytesIO()
    np.savez(stream, words=np.array(json.dumps(words)), **arrays)
    with open("run/checkpoint.npz", "wb") as file:
        file.write(_damaged(data.draw, stream.getvalue()))
    options = ["--mesh", "1x1"] if command == "federated" else ["--preset", "TINY"]
    assert end("checkpoints", command, "--net", "64-10", "--resume", "--out", "run", *options) == 2
