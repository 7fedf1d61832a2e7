"""Network files: what is written is read back, and nothing else is taken for a network."""

import pytest

from trident.hw.errors import TridentError
from trident.snn.network.builder import Builder
from trident.snn.network.files import dumps, load, loads
from trident.snn.network.network import Network

GOOD = """
input = [8, 8, 1]

[[node]]
name = "conv1"
kind = "conv"
inputs = ["input"]
channels = 4
kernel = 3
stride = 2

[[node]]
name = "neuron1"
kind = "neuron"
inputs = ["conv1"]

[[node]]
name = "flatten2"
kind = "flatten"
inputs = ["neuron1"]

[[node]]
name = "linear2"
kind = "linear"
inputs = ["flatten2"]
outputs = 10

[[node]]
name = "neuron2"
kind = "neuron"
inputs = ["linear2"]
"""


def residual() -> Network:
    build = Builder((6, 6, 2))
    build.add("conv", channels=2, kernel=3, bias=False)
    build.add("norm", method="batch")
    first = build.add("neuron")
    build.add("conv", channels=2, kernel=3)
    build.add("add", "conv2", first)
    build.add("neuron")
    build.add("pool", method="average", size=3)
    build.add("flatten")
    build.add("linear", outputs=5)
    build.add("readout")
    return build.network()


def test_the_shorthand_s_network_as_a_file():
    assert loads(GOOD) == Network.parse("8x8x1-4c3s2-10")


@pytest.mark.parametrize("suffix", [".toml", ".json"])
@pytest.mark.parametrize("network", [Network.parse("5x4x2-3c3s2p0-7-4", bias=False), residual()])
def test_what_is_written_is_read_back(network, suffix, tmp_path):
    assert loads(dumps(network, suffix), suffix) == network
    path = tmp_path / f"net{suffix}"
    path.write_text(dumps(network, suffix))
    assert load(path) == network == Network.parse(str(path))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("input = [8, 8, 1]", "", "has input = [y, x, channels]"),
        ("input = [8, 8, 1]", "input = [8, 8]", "not (8, 8)"),
        ("input = [8, 8, 1]", "input = '8x8x1'", "input must be [y, x, channels]"),
        ("input = [8, 8, 1]", "input = [8, 8, 1]\nlayers = 2", "unknown key 'layers'"),
        ("input = [8, 8, 1]", "input = [8, 8, 1]\noutput = 3", "output must be the name of a node"),
        ('name = "conv1"', "", "node 1 has no name"),
        ('kind = "flatten"', 'kind = "unflatten"', "node 'flatten2' has the kind 'unflatten': choose one of"),
        ("kernel = 3", "", "node 'conv1' needs kernel"),
        ("kernel = 3", "kernel = 3.0", "kernel must be a whole number from 1 to 11, or two such, for y and x, not 3.0"),
        ("stride = 2", "strides = 2", "conv 'conv1' has no 'strides': known are channels, kernel"),
        ('inputs = ["conv1"]', "", "node 'neuron1' must say what it reads"),
        ('inputs = ["conv1"]', "inputs = [1]", "1 names no node"),
        ('inputs = ["conv1"]', 'inputs = ["conv"]', "neuron 'neuron1' reads 'conv', which is no node"),
        ('inputs = ["flatten2"]', 'inputs = ["neuron1"]', "nobody reads flatten"),
        ("outputs = 10", "outputs = ", "is no TOML"),
    ],
)  # fmt: skip
def test_refusals(old, new, words):
    assert old in GOOD
    with pytest.raises(TridentError) as refused:
        loads(GOOD.replace(old, new, 1), name="net.toml")
    assert words in str(refused.value) and "\n" not in str(refused.value)
    assert str(refused.value).startswith("net.toml")


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(TridentError, match="give a network file"):
            load(path)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TridentError, match="it is no text"):
        load(tmp_path / "bytes.json")
    for text in ("[]", "{}", '{"input": 3, "node": []}', "[" * 100_000):
        with pytest.raises(TridentError):
            loads(text, ".json")
