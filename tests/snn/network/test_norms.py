"""Standardised weights and batch norms as a run and a network file ask for them."""

import pytest

from trident.hw.errors import TridentError
from trident.snn.network.files import dumps, loads
from trident.snn.network.network import Network
from trident.snn.network.nodes import BATCH_EPSILON, EPSILON
from trident.snn.network.norms import with_norm

NET = "8x8x1-4c3-mp2-12-10"


@pytest.mark.parametrize("norm, epsilon", [("ws", EPSILON), ("ws:0.25", 0.25)])
def test_all_layers_but_the_last(norm, epsilon):
    network = with_norm(Network.parse(NET), norm)
    assert [layer.epsilon for layer in network.layers] == [epsilon, epsilon, None]
    assert network.tensors == Network.parse(NET).tensors
    for suffix in (".toml", ".json"):
        assert loads(dumps(network, suffix), suffix) == network


@pytest.mark.parametrize("norm, epsilon", [("bn", BATCH_EPSILON), ("bn:0.25", 0.25)])
def test_batch_norms_behind_all_layers_but_the_last(norm, epsilon):
    """Without the biases, which norms make useless; what has a norm keeps it."""
    network = with_norm(Network.parse(NET), norm)
    assert [layer.norm and layer.norm.name for layer in network.layers] == ["conv1_norm", "linear3_norm", None]
    assert {node.epsilon for node in network.norms} == {epsilon}
    assert [layer.bias for layer in network.layers] == [False, False, True]
    assert network.tensors["conv1_norm.gain"] == network.tensors["conv1_norm.offset"] == (4,)
    initial = network.initial_weights(3)
    assert (initial["conv1_norm.gain"] == 1).all() and not initial["conv1_norm.offset"].any()
    assert with_norm(network, "bn:0.125") == network
    for suffix in (".toml", ".json"):
        assert loads(dumps(network, suffix), suffix) == network


def test_none_is_the_network_itself():
    network = Network.parse(NET)
    assert with_norm(network, "none") is network
    assert not any(layer.standardised for layer in network.layers)


@pytest.mark.parametrize("net, norm, words", [
    (NET, "bm", "norm must be one of none, ws, bn, tdbn, or with an epsilon ws:1e-3 or bn:1e-3, not 'bm'"),
    (NET, "none:2", "norm must be one of none, ws, bn, tdbn, or with an epsilon ws:1e-3 or bn:1e-3, not 'none:2'"),
    (NET, "ws:small", "the epsilon of the norm ws must be a number above 0, not 'small'"),
    (NET, "ws:0", "conv 'conv1': epsilon must be a number above 0, not 0.0"),
    (NET, "ws:inf", "conv 'conv1': epsilon must be a number above 0, not inf"),
    (NET, "bn:0", "norm 'conv1_norm': epsilon must be a number above 0, not 0.0"),
    ("64-10", "bn", "the norm bn is of all layers but the last, and the network has 'linear1' alone"),
    ("64-10", "ws", "the norm ws is of all layers but the last, and the network has 'linear1' alone"),
    ("8x8x1-4c1-10", "ws",
     "conv 'conv1' has one weight for each output, which standardised is 0: it needs two or more"),
])  # fmt: skip
def test_what_is_no_norm_is_refused(net, norm, words):
    with pytest.raises(TridentError) as caught:
        assert with_norm(Network.parse(net), norm).layers
    assert str(caught.value) == words


@pytest.mark.parametrize("fields, words", [
    ("standardise = 1", "n: linear 'a': standardise must be true or false, not 1"),
    ("epsilon = 0.5", "n: linear 'a': epsilon is of standardised weights: give standardise = true as well"),
    ('standardise = true\nepsilon = "1"', "n: linear 'a': epsilon must be a number above 0, not '1'"),
])  # fmt: skip
def test_fields_of_a_file_are_checked(fields, words):
    text = f'input = [1, 1, 4]\n[[node]]\nname = "a"\nkind = "linear"\ninputs = ["input"]\noutputs = 3\n{fields}\n'
    with pytest.raises(TridentError) as caught:
        loads(text, ".toml", "n")
    assert str(caught.value) == words


@pytest.mark.parametrize("fields, words", [
    ("epsilon = 0", "n: norm 'b': epsilon must be a number above 0, not 0"),
    ("momentum = 1.5", "n: norm 'b': momentum must be a number above 0, at most 1, not 1.5"),
    ("scale = true", "n: norm 'b': scale must be a number above 0, not True"),
    ('method = "layer"', "n: norm 'b': method must be batch, not 'layer'"),
])  # fmt: skip
def test_fields_of_a_norm_are_checked(fields, words):
    text = 'input = [1, 1, 4]\n[[node]]\nname = "a"\nkind = "linear"\ninputs = ["input"]\noutputs = 3\n'
    text += f'[[node]]\nname = "b"\nkind = "norm"\ninputs = ["a"]\n{fields}\n'
    with pytest.raises(TridentError) as caught:
        loads(text, ".toml", "n")
    assert str(caught.value) == words
