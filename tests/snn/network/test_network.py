"""Networks: the graph and what it refuses, the shorthand, and the layers that a core computes."""

from dataclasses import replace

import numpy as np
import pytest

from trident.hw.errors import TridentError
from trident.hw.isa.planes import Planes
from trident.snn.network.builder import Builder
from trident.snn.network.files import dumps, loads
from trident.snn.network.kernel import Kernel
from trident.snn.network.kinds import KINDS
from trident.snn.network.layers import Layer, Read
from trident.snn.network.network import Network, edges
from trident.snn.network.nodes import INPUT, Edge
from trident.snn.network.norms import with_norm
from trident.snn.neuron_settings import NeuronSettings


def test_linear_chain():
    network = Network.parse("64-128-10")
    assert network.in_shape == (1, 1, 64)
    assert network.layers == (
        Layer(0, "linear1", "neuron1", (Read(None),), "linear", (1, 1, 64), 128),
        Layer(1, "linear2", "neuron2", (Read(0),), "linear", (1, 1, 128), 10, last=True),
    )
    assert network.classes == 10
    assert network.weights == 64 * 128 + 128 + 128 * 10 + 10
    assert list(network.tensors) == ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"]
    assert network.readers[INPUT] == (network.node("linear1"),) and network.readers["neuron2"] == ()


def test_convolutions_and_the_flattening_behind_them():
    network = Network.parse("8x6x1-16c3-32c3s2p0-10")
    first, second, last = network.layers
    assert (first.kernel, first.out_shape) == (Kernel.square(3, 1, 1), (8, 6, 16))
    assert (second.kernel, second.out_shape) == (Kernel.square(3, 2), (3, 2, 32))
    assert second.weight_shape == (9, 16, 32) == network.tensors["conv2.weight"]
    assert second.fan_in == 144
    assert last.image == (3, 2, 32) and last.in_shape == (1, 1, 3 * 2 * 32)
    assert [layer.sources for layer in network.layers] == [(None,), (0,), (1,)]
    assert network.shapes["flatten3"] == (1, 1, 192)


def test_without_bias():
    network = Network.parse("4x4x1-2c3-3", bias=False)
    assert network.weights == 9 * 2 + 32 * 3
    assert list(network.initial_weights(0)) == ["conv1.weight", "linear2.weight"]


def test_initial_weights_are_seeded_and_bounded():
    network = Network.parse("8x8x1-4c3-10")
    first, again, other = (network.initial_weights(seed) for seed in (5, 5, 6))
    for layer in network.layers:
        for name in (layer.weight, layer.bias_name):
            assert first[name].shape == network.tensors[name]
            assert np.abs(first[name]).max() <= layer.fan_in**-0.5
            np.testing.assert_array_equal(first[name], again[name])
            assert (first[name] != other[name]).any()


def test_layers_describe_themselves():
    conv, linear = Network.parse("8x8x1-4c3s2-10").layers
    assert str(conv) == "conv 8x8x1→4, kernel 3, stride 2, padding 1"
    assert str(linear) == "linear 64→10"


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "no layer"),
        ("64", "no layer"),
        ("x-10", "neither a number (64) nor an image (8x8x1)"),
        ("0-10", "size of 0"),
        ("8x0x1-10", "size of 0"),
        ("64-0", "at least 1 output, not 0"),
        ("64-ten", "'ten' is no number of outputs (128), recurrent layer (128rec), convolution (16c3s2p1, dw3)"),
        ("8x8x1-sew4-10", "block 'sew4' must follow a layer, whose spikes it reads"),
        ("8x8x1-4c3-sew0-10", "block 'sew0' needs at least 1 channel"),
        ("8x8x1-4c3-sew4s3-10", "block 'sew4s3' needs at least 1 channel and a stride of 1 or 2"),
        ("8x8x1-4c3-sew4-mp2-10", "'mp2' must follow a layer"),
        ("64-²-10", "'²' is no number"),
        ("٦٤-10", "neither a number (64)"),
        ("64--10", "'' is no number"),
        ("8x8x1-16c3", "must end with a linear layer"),
        ("8x8x1-mp2-10", "'mp2' must follow a layer and have a window of 2 pixels or more"),
        ("8x8x1-4c3-mp1-10", "'mp1' must follow a layer"),
        ("8x8x1-4c3-mp2-mp2-10", "'mp2' must follow a layer"),
        ("8x8x1-4c3-mp9-10", "window of 9 pixels, its input is an image of 8x8"),
        ("8x8x1-0c3-10", "layer '0c3': conv 'conv1': channels must be a whole number of at least 1"),
        ("8x8x1-4c12-10", "kernel must be a whole number from 1 to 11, or two such, for y and x, not 12"),
        ("8x8x1-4c3x0-10", "or two such, for y and x, not [3, 0]"),
        ("8x8x1-4c3s5-10", "stride must be a whole number from 1 to 4, or two such, for y and x, not 5"),
        ("8x8x1-4c3s0-10", "stride must be"),
        ("8x8x1-4c3d17-10", "dilation must be a whole number from 1 to 16"),
        ("8x8x1-4c3p3-10", "padding must be a whole number from 0 to 2, or two such, for y and x, not 3"),
        ("8x8x1-4c1x5p1-10", "padding must be a whole number from 0 to 0x4, or two such, for y and x, not 1"),
        ("8x8x1-4c11p32d10-10", "padding must be a whole number from 0 to 31"),
        ("2x2x1-4c5p0-10", "with kernel 5, stride 1, padding 0 does not fit an image of 2x2 pixels"),
        ("1x8x1-4c1x3p0d9-10", "with kernel 1x3, stride 1, padding 0, dilation 9 does not fit an image of 1x8 pixels"),
    ],
)
def test_refusals(text, words):
    with pytest.raises(TridentError) as refused:
        Network.parse(text)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


# The graph
def linear(name, *inputs, outputs=4):
    return KINDS["linear"](name, edges(*inputs), outputs=outputs)


def neuron(name, *inputs):
    return KINDS["neuron"](name, edges(*inputs))


def test_nodes_come_in_any_order_and_are_computed_after_what_they_read():
    nodes = neuron("n2", "b"), linear("b", "n1"), neuron("n1", "a"), linear("a", INPUT, outputs=3)
    network = Network((1, 1, 6), nodes, "n2")
    assert [node.name for node in network.nodes] == ["a", "n1", "b", "n2"]
    assert [layer.node for layer in network.layers] == ["a", "b"]
    assert network == Network((1, 1, 6), nodes[::-1])


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ((), "at least one node"),
        ((linear("a", INPUT), neuron("a", "a")), "two nodes are called 'a'"),
        ((linear("a", "b"),), "linear 'a' reads 'b', which is no node"),
        ((linear("a", INPUT), neuron("n", "a"), neuron("m", "a")), "nobody reads neuron 'n'"),
        ((linear("a", "n"), neuron("n", "a"), linear("b", INPUT)), "the nodes a, n wait for each other"),
        ((linear("a", "n"), neuron("n", "a")), "no node reads the network's input"),
        ((KINDS["add"]("s", edges(INPUT, "n")), linear("a", "s", outputs=6), neuron("n", "a")), "circle needs a delay"),
        ((neuron("p", "q[t-1]"), neuron("q", "p[t-1]"), linear("a", INPUT)), "the nodes p, q read only each other"),
        ((linear("a", INPUT), linear("b", INPUT, outputs=3), KINDS["add"]("s", edges("a", "b"))),
         "add 's' adds inputs of different shapes: 1x1x4, 1x1x3"),
    ],
)  # fmt: skip
def test_graphs_that_cannot_be(nodes, words):
    with pytest.raises(TridentError) as refused:
        Network((1, 1, 6), nodes)
    assert words in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: linear("2x", INPUT), "'2x' is no name"),
        (lambda: linear(INPUT, INPUT), "'input' is no name"),
        (lambda: linear("a", INPUT, "b"), "takes one input, not 2"),
        (lambda: KINDS["add"]("a", edges(INPUT)), "takes two inputs or more, not 1"),
        (lambda: linear("a", INPUT, outputs=0), "linear 'a': outputs must be a whole number of at least 1, not 0"),
        (lambda: KINDS["conv"]("c", edges(INPUT), channels=4, kernel=12), "kernel must be a whole number from 1 to 11"),
        (lambda: KINDS["conv"]("c", edges(INPUT), channels=4, kernel=(3, 3, 3)), "for y and x, not [3, 3, 3]"),
        (lambda: KINDS["conv"]("c", edges(INPUT), channels=4, kernel=3, padding=3), "padding must be a whole number"),
        (lambda: KINDS["pool"]("p", edges(INPUT), method="median"), "must be max or average or sum, not 'median'"),
        (lambda: Edge.parse("n[t-x]"), "'n[t-x]' names no node"),
    ],
)
def test_nodes_that_cannot_be(make, words):
    with pytest.raises(TridentError) as refused:
        make()
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_delay_makes_a_circle_possible():
    nodes = (KINDS["add"]("s", edges(INPUT, "n[t-1]")), linear("a", "s", outputs=6), neuron("n", "a"))
    network = Network((1, 1, 6), nodes)
    assert network.shapes["s"] == (1, 1, 6) and str(network.node("s").inputs[1]) == "n[t-1]"
    with pytest.raises(TridentError, match=r"add 's' reads n\[t-1\]: only conv and linear nodes read what was"):
        assert network.layers
    nodes = (KINDS["add"]("s", edges(INPUT, "n[t-1]")), linear("a", "s", outputs=5), neuron("n", "a"))
    with pytest.raises(TridentError, match="add 's' adds inputs of different shapes"):
        Network((1, 1, 6), nodes)


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("conv", "neuron", "norm", "flatten", "linear", "neuron"), "norm 'norm1' must take the sums of a conv"),
        (("conv", "norm", "conv", "neuron"), "norm 'norm1' must be read by one neuron or readout or pool node"),
        (("conv", "pool", "pool", "neuron"), "pool 'pool1' must be read by one neuron or readout node alone, not"),
        (("pool", "conv", "neuron"), "pool 'pool1' must join the spikes of a neuron node, not read input"),
        (("conv", "neuron", "pool"), "the network's output must be the neurons behind its last layer"),
        (("conv", "readout", "flatten", "linear", "neuron"), "linear 'linear1' must read spikes, those of neurons or"),
        (("conv", "conv", "neuron"), "conv 'conv1' must be read by one neuron or readout or norm or pool"),
        (("neuron", "conv", "neuron"), "neuron 'neuron1' must take the sums of a conv, linear or norm node, not input"),
        (("conv", "neuron", "flatten"), "the network's output must be the neurons behind its last layer"),
    ],
)
def test_what_no_core_computes_is_refused_by_name(kinds, words):
    build = Builder((6, 6, 2))
    fields = {"conv": {"channels": 3, "kernel": 3}, "linear": {"outputs": 4}}
    for kind in kinds:
        build.add(kind, **fields.get(kind, {}))
    network = build.network()
    with pytest.raises(TridentError) as refused:
        assert network.layers
    assert words in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("convolution", {}, "node 'convolution1' has the kind 'convolution': choose one of linear, conv"),
        ("conv", {"channels": 4, "kernel": 3, "dilated": 2}, "conv 'conv1' has no 'dilated'"),
        ("linear", {}, "node 'linear1' needs outputs"),
    ],
)
def test_what_no_node_can_be_is_refused(kind, fields, words):
    with pytest.raises(TridentError, match=words):
        Builder((6, 6, 2)).add(kind, **fields)


def branches(*adds: tuple[str, ...]) -> Builder:
    """A layer whose spikes two others read, and nodes that add up what is named."""
    build = Builder((1, 1, 6))
    build.add("linear", outputs=4)
    build.add("neuron")
    for _ in range(2):
        build.add("linear", "neuron1", outputs=4)
        build.add("neuron")
    for names in adds:
        build.add("add", *names)
    return build


def test_sums_of_spikes_are_read_from_each_of_the_layers():
    build = branches(("neuron2", "neuron1"), ("add1", "neuron3", "neuron2"))
    build.add("linear", outputs=5)
    build.add("neuron")
    network = build.network()
    last = network.layers[-1]
    assert last.sources == (1, 0, 2, 1) and last.forward_terms == 4 * 4 + 1 and last.gradient_terms(3) == 4 * 3
    assert [[layer.node for layer in readers] for readers in network.spike_readers] == [
        ["linear2", "linear3", "linear4"], ["linear4", "linear4"], ["linear4"], [],
    ]  # fmt: skip
    assert network.branches and network.error_terms(0) == 4 + 4 + 5
    assert not Network.parse("6-4-5").branches


def test_sums_that_no_core_makes():
    with pytest.raises(TridentError, match="the network's output must be the neurons behind its last layer, not 'add"):
        assert branches(("neuron2", "neuron3")).network().layers
    build = Builder((1, 1, 6))
    for source in (INPUT, INPUT):
        build.add("linear", source, outputs=4)
    build.add("neuron", "linear1")
    build.add("add", "neuron1", "linear2")
    build.add("neuron")
    assert [part.fixed for part in build.network().layers[-1].parts] == [False, True]


def test_real_values_are_not_added_to_spikes():
    build = Builder((1, 1, 4))
    build.add("linear", outputs=4)
    build.add("neuron")
    build.add("add", "neuron1", INPUT)
    build.add("linear", outputs=3)
    build.add("neuron")
    assert build.network().layers[-1].sources == (0, None)
    with pytest.raises(TridentError, match="add 'add1' adds real values that stay the same over time to spikes"):
        assert replace(build.network(), planes=Planes(4, 0)).layers
    frames = replace(build.network(), planes=Planes(3, -1, True, still=False)).layers
    assert [(read.source, read.count) for read in frames[-1].reads] == [(0, 1), (None, 0.5), (None, 1), (None, -2)]
    assert frames[-1].sources == (0, None) and frames[0].walks == 3


def test_a_residual_block():
    network = Network.parse("8x8x1-4c3-sew4-sew6s2-10", bias=False)
    assert [(layer.node, layer.sources, layer.out_shape) for layer in network.layers] == [
        ("conv1", (None,), (8, 8, 4)), ("conv2a", (0,), (8, 8, 4)), ("conv2b", (1,), (8, 8, 4)),
        ("conv3a", (2, 0), (4, 4, 6)), ("conv3b", (3,), (4, 4, 6)), ("conv3s", (2, 0), (4, 4, 6)),
        ("linear4", (4, 5), (1, 1, 10)),
    ]  # fmt: skip
    assert not any(layer.bias for layer in network.layers)
    assert Network.parse("8x8x1-4c3-sew6-10").node("conv2s").kernel == 1


def recurrent(*edges_of: str, nodes: tuple[str, ...] = ()) -> Builder:
    """A linear layer whose neurons also take the sums of a linear node for each of the edges."""
    build = Builder((1, 1, 6))
    sums = [build.add("linear", outputs=4)]
    sums += [build.add("linear", edge, outputs=4, bias=False) for edge in edges_of]
    build.add("add", *sums)
    for kind in nodes:
        build.add(kind)
    build.add("neuron")
    return build


def test_branches_and_recurrence():
    build = recurrent("neuron1[t-1]", "input[t-2]")
    build.add("linear", outputs=3)
    build.add("neuron")
    network = build.network()
    first, last = network.layers
    assert [(part.node, part.delay, part.sources) for part in first.parts] == [
        ("linear1", 0, (None,)), ("linear3", 2, (None,)), ("linear2", 1, (0,)),
    ]  # fmt: skip
    assert first.recurrent and not last.recurrent and first.walks == 3 and first.forward_terms == 6 + 1 + 6 + 4
    assert [part.node for part in network.spike_readers[0]] == ["linear2", "linear4"]
    assert network.error_terms(0) == 4 + 3 and network.branches and len(network.delays) == 2
    assert str(first).endswith(", plus linear 6→4 of t-2, plus linear 4→4 of t-1")
    same = Network.parse("6-4rec-3")
    assert [part.node for part in same.parts] == ["linear1", "recurrent1", "linear2"] and same.layers[0].recurrent
    assert same.tensors["recurrent1.weight"] == (1, 4, 4) and "recurrent1.bias" not in same.tensors
    assert loads(dumps(same)).layers == same.layers
    assert Network.parse("4x4x2-5rec-3").layers[0].image == (4, 4, 2)


def test_a_recurrent_output_is_read_by_a_layer_for_the_loss():
    """Of it and of the loss, errors come to its neurons; it has no penalty of spikes, and no norm of hidden layers."""
    network = Network.parse("5-4rec-3rec")
    *_, output, loss = network.layers
    assert (output.neuron, loss.neuron, loss.sources, loss.parameters) == ("neuron2", "neuron2", (1,), ())
    assert loss.fixed and (loss.fixed_weights == np.eye(3)[None]).all() and loss.last and not output.last
    assert network.classes == 3
    assert [reader.node for reader in network.spike_readers[1]] == ["recurrent2", "neuron2:loss"]
    penalised = NeuronSettings(spike_penalty=0.1, surrogate="atan")
    assert [penalised.at(layer).penalty > 0 for layer in network.layers] == [True, False, False]
    assert [layer.standardised for layer in with_norm(network, "ws").layers] == [True, False, False]
    own = [replace(node, spike_penalty=0.1) if node.name == "neuron2" else node for node in network.nodes]
    with pytest.raises(TridentError, match="'neuron2': a spike_penalty is of neurons that are not the network's out"):
        assert replace(network, nodes=tuple(own)).layers


def _last(build: Builder, *inputs: str) -> Network:
    build.add("linear", *inputs, outputs=3)
    build.add("neuron")
    return build.network()


@pytest.mark.parametrize(("make", "words"), [
    (lambda: _last(recurrent("neuron2[t-1]")), "linear 'linear2' reads neuron2[t-1], the spikes of a later layer"),
    (lambda: _last(recurrent("linear1[t-1]")), "linear 'linear1' must be read by one neuron or readout node, and"),
    (lambda: _last(recurrent("neuron1[t-1]", nodes=("norm",))), "add 'add1' must be read by one neuron or readout"),
    (lambda: replace(_last(recurrent("neuron1[t-1]")), planes=Planes(4, 0)), "real values must be given for every"),
    (lambda: replace(_last(recurrent("input")), planes=Planes(4, 0)), "add 'add1' adds sums of real values that stay"),
])  # fmt: skip
def test_branches_that_no_core_computes_are_refused_by_name(make, words):
    with pytest.raises(TridentError) as refused:
        assert make().layers
    assert words in str(refused.value) and "\n" not in str(refused.value)
