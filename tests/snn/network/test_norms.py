"""Standardised weights as a run and a network file ask for them."""

import pytest

from trident.hw.errors import TridentError
from trident.snn.network.files import dumps, loads
from trident.snn.network.network import Network
from trident.snn.network.nodes import EPSILON
from trident.snn.network.norms import with_norm

NET = "8x8x1-4c3-mp2-12-10"


@pytest.mark.parametrize("norm, epsilon", [("ws", EPSILON), ("ws:0.25", 0.25)])
def test_all_layers_but_the_last(norm, epsilon):
    network = with_norm(Network.parse(NET), norm)
    assert [layer.epsilon for layer in network.layers] == [epsilon, epsilon, None]
    assert network.tensors == Network.parse(NET).tensors
    for suffix in (".toml", ".json"):
        assert loads(dumps(network, suffix), suffix) == network


def test_none_is_the_network_itself():
    network = Network.parse(NET)
    assert with_norm(network, "none") is network
    assert not any(layer.standardised for layer in network.layers)


@pytest.mark.parametrize("net, norm, words", [
    (NET, "bn", "norm must be none or ws, or with an epsilon ws:1e-3, not 'bn'"),
    (NET, "none:2", "norm must be none or ws, or with an epsilon ws:1e-3, not 'none:2'"),
    (NET, "ws:small", "the epsilon of the norm ws must be a number above 0, not 'small'"),
    (NET, "ws:0", "conv 'conv1': epsilon must be a number above 0, not 0.0"),
    (NET, "ws:inf", "conv 'conv1': epsilon must be a number above 0, not inf"),
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
