"""Networks that add sums before neurons, and norms in the shorthand."""

from dataclasses import replace

import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.planes import Planes
from trident.snn.network.builder import Builder
from trident.snn.network.network import Network
from trident.snn.network.nodes import INPUT
from trident.snn.network.norms import with_norm


def said(network: Network) -> list[tuple]:
    """Of every layer, what it is, whether it fires, and whose sums it adds."""
    return [(layer.node, layer.fixed, layer.fires, layer.kept, layer.adds) for layer in network.layers]


def test_a_block_without_a_norm_is_a_sum_of_walks():
    network = Network.parse("8x8x1-8c3-res8-res16s2-10")
    assert [tuple(part.node for part in layer.parts) for layer in network.layers] == [
        ("conv1",), ("conv2a",), ("conv2b", "add2"), ("conv3a",), ("conv3b", "conv3s"), ("linear4",),
    ]  # fmt: skip
    own = network.layers[2].branches[0]
    assert own.fixed and own.conv_groups == 8 and own.sources == (0,) and own.parameters == () and own.weights == 0
    assert "add2.weight" not in network.tensors and not network.adds and network.branches
    assert [part.node for part in network.spike_readers[0]] == ["conv2a", "add2"]


def test_sums_of_a_block_with_norms():
    """Spikes and the norm of a shortcut are layers of their own, added by the last of a block."""
    network = with_norm(Network.parse("8x8x1-8c3-res8-res16s2-10"), "bn")
    assert said(network)[2:4] == [("conv2b", False, False, True, ()), ("add2", True, True, False, (2,))]
    assert said(network)[5:7] == [("conv3b", False, False, True, ()), ("conv3s", False, True, False, (5,))]
    assert network.adders == ((), (), (3,), (), (), (6,), (), ())
    assert "conv3s_norm.gain" in network.tensors and "conv3b.bias" not in network.tensors


@pytest.mark.parametrize("norm", ["none", "ws", "bn"])
def test_blocks_that_add_to_the_same_sums(norm):
    network = with_norm(Network.parse("8x8x1-8c3-ms8-ms8-10"), norm)
    assert said(network) == [
        ("conv1", False, True, True, ()), ("conv2a", False, True, False, ()), ("conv2b", False, True, True, (0,)),
        ("conv3a", False, True, False, ()), ("conv3b", False, True, False, (2,)), ("linear4", False, True, False, ()),
    ]  # fmt: skip
    assert str(network.layers[2]).endswith("plus sums of layer 1")


def small(*added: str) -> Builder:
    """A convolution with neurons, another with a norm, and what is added to it."""
    build = Builder((4, 4, 2))
    build.add("conv", channels=2, kernel=3)
    build.add("neuron")
    build.add("conv", channels=2, kernel=3)
    build.add("norm")
    build.add("add", "norm1", *added)
    return build


def ended(build: Builder) -> Network:
    build.add("neuron")
    build.add("flatten")
    build.add("linear", outputs=3)
    build.add("neuron")
    return build.network()


def twice_read() -> Network:
    build = small("conv1")
    build.add("neuron", name="other")
    build.add("conv", channels=2, kernel=3)
    build.add("neuron", "add1")
    build.add("add", "conv3", "add1", "neuron3")
    return ended(build)


def no_own() -> Network:
    build = small("conv1")
    build.add("add", "add1", "conv1")
    return ended(build)


def behind(kind: str) -> Network:
    build = small("conv1")
    build.add(kind)
    return ended(build)


def late() -> Network:
    build = small("conv1")
    build.add("neuron")
    build.add("conv", channels=2, kernel=3)
    build.add("conv", "neuron1[t-1]", channels=2, kernel=3)
    build.add("add", "conv3", "conv4")
    return ended(build)


def of_lines() -> Network:
    build = Builder((1, 1, 6))
    build.add("linear", outputs=4)
    build.add("pool")
    build.add("neuron")
    build.add("linear", outputs=2)
    build.add("add", "linear2", "pool1")
    return ended(build)


def as_output() -> Network:
    build = Builder((1, 1, 6))
    build.add("linear", outputs=3)
    build.add("neuron")
    build.add("linear", outputs=3)
    build.add("add", "linear2", "linear1")
    build.add("neuron")
    return build.network()


def gate(*inputs: str, method: str = "and") -> Network:
    build = small("conv1")
    build.add("neuron")
    build.add("add", *inputs, method=method)
    build.add("flatten")
    build.add("linear", outputs=3)
    build.add("neuron")
    return build.network()


def mean_of_all() -> Network:
    build = small("conv1")
    build.add("neuron")
    build.add("pool", method="average", size=4)
    build.add("linear", outputs=2)
    build.add("add", "linear1", "pool1")
    return ended(build)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: ended(small("conv1", "conv1")), "add 'add1' adds the sums of conv 'conv1' twice"),
    (twice_read, "add 'add1' must be read by one neuron or readout node, and by add nodes, not by neuron 'other'"),
    (no_own, "add 'add2' adds sums alone that others take as well: one of its inputs must be spikes, or sums that it"),
    (lambda: behind("norm"), "add 'add1' must be read by one neuron or readout node alone, not by norm 'norm2'"),
    (lambda: behind("pool"), "add 'add1' must be read by one neuron or readout node alone, not by pool 'pool1'"),
    (late, "takes sums that are kept for others, which no core does where neuron1[t-1] is read"),
    (of_lines, "neuron 'neuron1' takes the largest sums of outputs, which are not added to others"),
    (as_output, "neuron 'neuron2' is the network's output, so its sums are added to no others"),
    (mean_of_all, "add 'add2' adds the mean of all pixels to sums"),
    (lambda: replace(ended(small(INPUT)), planes=Planes(4, 0)), "add 'add1' adds real values that stay the same over"),
    (lambda: replace(ended(small("conv1")), planes=Planes(4, 0)), "adds sums of real values that stay the same over"),
    (lambda: gate("neuron1", "neuron2", "neuron2"), "add 'add2': and joins two inputs, not 3"),
    (lambda: gate("neuron1", "neuron2", method="xor"), "add 'add2': method must be and or iand, not 'xor'"),
    (lambda: gate("neuron2", "conv1"), "add 'add2' joins spikes of neurons, which are 0 or 1, not conv 'conv1'"),
    (lambda: with_norm(Network.parse("6-4rec-3"), "bn"), "the norm bn is of all timesteps at once, and 'recurrent1'"),
])  # fmt: skip
def test_sums_that_no_core_adds_are_refused_by_name(make, words):
    with pytest.raises(TridentError) as refused:
        assert make().layers
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_gates_are_two_layers_of_which_the_first_is_read():
    network = Network.parse("6x6x1-4c3-sew4and-sew4iand-3")
    first, second = network.layers[3:5]
    assert [part.constant for part in first.parts] == [1, 2] and second.copies == first.number == second.fired_by
    assert network.layers[5].sources == (3,) and network.spike_readers[3] == network.spike_readers[4]
    assert [part.node for part in network.spike_readers[0]] == ["conv2a", "add2:1"]
    assert [part.node for part in network.spike_readers[2]] == ["add2:3"]
    inverted = network.layers[7:9]
    assert [[part.constant for part in layer.parts] for layer in inverted] == [[1, -2], [-1, 2]]
    assert [layer.sources for layer in inverted] == [(3,), (6,)]  # what the block reads first


def test_gains_of_threshold_dependent_norms():
    """The neurons' threshold, of which those that an add takes share the variance."""
    network = Network.parse("8x8x1-8c3-res8s2-20-10")
    nodes = tuple(replace(n, threshold=0.5) if n.name == "neuron1" else n for n in network.nodes)
    normed = with_norm(replace(network, nodes=nodes), "tdbn:0.25", 1.5)
    found = {node.name: (node.scale, node.epsilon) for node in normed.nodes if node.kind == "norm"}
    assert found == {
        "conv1_norm": (0.5, 0.25), "conv2a_norm": (1.5, 0.25), "conv2b_norm": (1.5 / 2**0.5, 0.25),
        "conv2s_norm": (1.5 / 2**0.5, 0.25), "linear3_norm": (1.5, 0.25),
    }  # fmt: skip


def test_norms_in_the_shorthand():
    """Of one layer, or of all convolutions of a block; the same nodes as of a whole network with one."""
    text = "8x8x1-8c3{0}-sew8{0}-16c3s2p1{0}m2-12{0}-10"
    assert Network.parse(text.format("bn")) == with_norm(Network.parse(text.format("")), "bn")
    assert Network.parse(text.format("ws")) == with_norm(Network.parse(text.format("")), "ws")
    mixed = Network.parse("8x8x1-8c3bn-dw3ws-res8-20-10ws")
    assert [bool(layer.norm) for layer in mixed.layers] == [True, False, False, False, False, False]
    assert [layer.standardised for layer in mixed.layers] == [False, True, False, False, False, True]
    assert with_norm(mixed, "bn").tensors.keys() > mixed.tensors.keys() - {"conv2.bias", "conv3a.bias", "conv3b.bias",
                                                                          "linear4.bias"}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), [
    ("8x8x1-8c3-mp2bn-10", "'mp2bn' has no weights, so it cannot have the norm bn"),
    ("64-12recbn-10", "the norm bn is of all timesteps at once, and '12recbn' of one by one"),
    ("64-bn-10", "layer 'bn' is no number of outputs"),
    ("8x8x1-8c3-mp2-ms8-10", "block 'ms8' must follow a layer, whose sums it adds"),
    ("8x8x1-ms8-10", "block 'ms8' must follow a layer, whose spikes it reads"),
    ("8x8x1-8c3-res8and-10", "block 'res8and' adds sums, which and does not join, only spikes"),
    ("8x8x1-8c3-res8s3-10", "needs at least 1 channel and a stride of 1 or 2"),
])  # fmt: skip
def test_refusals_in_the_shorthand(text, words):
    with pytest.raises(TridentError) as refused:
        Network.parse(text)
    assert words in str(refused.value)
