"""Networks of which several neurons vote for a class."""

from dataclasses import replace

import pytest

from trident.hw.errors import TridentError
from trident.snn.network.builder import Builder
from trident.snn.network.files import dumps, loads
from trident.snn.network.network import Network, edges
from trident.snn.network.nodes import Neuron
from trident.snn.network.norms import with_norm
from trident.snn.network.partition import Partition


def test_voters_of_a_shorthand():
    network = Network.parse("64-128-100v10")
    assert (network.classes, network.voters, network.most_spikes(8)) == (10, 10, 80)
    assert network.shapes[network.output] == (1, 1, 100) and network.tensors["linear2.bias"] == (100,)
    assert network.layers[1].voters == 10 and network.layers[1].changes == ()
    assert str(network.layers[1]) == "linear 128→100, 10 voters for a class"
    assert loads(dumps(network)) == network and "voters = 10" in dumps(network)


@pytest.mark.parametrize("text", ["64-20", "64-20v1", "64-20r"])
def test_outputs_that_are_classes(text):
    network = Network.parse(text)
    assert (network.classes, network.voters, network.layers[0].voters) == (20, 1, 1)


def test_voters_of_a_network_that_is_built():
    """Neurons may have a leak and the like of their own beside; a norm leaves them."""
    build = Builder((1, 1, 6))
    build.add("linear", outputs=4)
    build.add("neuron")
    build.add("linear", outputs=12)
    build.add("neuron", voters=4, leak=0.25)
    network = build.network()
    assert network.classes == 3 and network.layers[1].changes == (("leak", 0.25),)
    assert with_norm(network, "bn").voters == 4


@pytest.mark.parametrize("text, words", [
    ("64-100v7", "neuron 'neuron1' has 100 outputs, which 7 voters of a class do not divide"),
    ("64-100v0", "neuron 'neuron1': voters must be a whole number of at least 1, not 0"),
    ("64-100v10-10", "neuron 'neuron1' has voters, which are of the network's output, 'neuron2'"),
    ("64-100v10r", "'100v10r' is a readout, which has no spikes to vote with"),
    ("64-100v0rmax", "'100v0rmax' is a readout, which has no spikes to vote with"),
    ("64-100v", "layer '100v' is no number of outputs"),
    ("8x8x1-4c3v2-10", "layer '4c3v2' is no number of outputs"),
])  # fmt: skip
def test_refusals(text, words):
    with pytest.raises(TridentError) as refused:
        Network.parse(text)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_voters_of_images_windows_and_other_nodes():
    build = Builder((2, 2, 1))
    build.add("conv", channels=4, kernel=1)
    build.add("neuron", voters=2)
    with pytest.raises(TridentError, match="'neuron1' has voters, .* a vector of outputs, not of an image of 2x2"):
        build.network()
    network = Network.parse("2x2x1-4c1m2-4")
    window, voting = network.node("window1"), Neuron("neuron1", edges("window1"), voters=2)
    largest = Network((2, 2, 1), (network.node("conv1"), window, voting))
    with pytest.raises(TridentError, match="'neuron1' has voters, so it cannot take the largest sums of windows"):
        assert largest.layers
    build = Builder((1, 1, 4))
    build.add("linear", outputs=4)
    with pytest.raises(TridentError, match="readout 'readout1' has no 'voters'"):
        build.add("readout", voters=2)
    with pytest.raises(TridentError, match="voters must be a whole number of at least 1, not 2.5"):
        replace(voting, voters=2.5)


def test_all_voters_are_on_one_core():
    network = Network.parse("16-8-24v3")
    with pytest.raises(TridentError, match="3 neurons vote for a class, which needs the last layer on one core"):
        Partition.parse("1,2/2", network, 1)
    assert str(Partition.parse("2x1/2,2", network, 1)) == "2x1/4+4,2"
