"""The network notation: shapes, weights and refusals."""

import numpy as np
import pytest

from trident.hw.errors import TridentError
from trident.snn.network import Layer, Network


def test_linear_chain():
    network = Network.parse("64-128-10")
    assert network.in_shape == (1, 1, 64)
    assert network.layers == (Layer("linear", (1, 1, 64), 128), Layer("linear", (1, 1, 128), 10))
    assert network.classes == 10
    assert network.weights == 64 * 128 + 128 + 128 * 10 + 10


def test_convolutions_and_the_flattening_behind_them():
    first, second, last = Network.parse("8x6x1-16c3-32c3s2p0-10").layers
    assert (first.kernel, first.stride, first.padding, first.out_shape) == (3, 1, 1, (8, 6, 16))
    assert (second.kernel, second.stride, second.padding, second.out_shape) == (3, 2, 0, (3, 2, 32))
    assert second.weight_shape == (9, 16, 32)
    assert second.fan_in == 144
    assert last.in_shape == (1, 1, 3 * 2 * 32)


def test_without_bias():
    network = Network.parse("4x4x1-2c3-3", bias=False)
    assert network.weights == 9 * 2 + 32 * 3
    assert all(not biases.any() for _, biases in network.initial_weights(0))


def test_initial_weights_are_seeded_and_bounded():
    network = Network.parse("8x8x1-4c3-10")
    first, again, other = (network.initial_weights(seed) for seed in (5, 5, 6))
    for layer, (weights, biases), (same, _), (different, _) in zip(network.layers, first, again, other):
        assert weights.shape == layer.weight_shape
        assert biases.shape == (layer.out_channels,)
        assert np.abs(weights).max() <= layer.fan_in**-0.5
        np.testing.assert_array_equal(weights, same)
        assert (weights != different).any()


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
        ("64-ten", "'ten' is neither a number of outputs (128) nor a convolution (16c3s2p1)"),
        ("64--10", "'' is neither"),
        ("8x8x1-16c3", "must end with a linear layer"),
        ("8x8x1-0c3-10", "at least 1 channel"),
        ("8x8x1-4c9-10", "kernel 9 of '4c9' is not within 1 to 7"),
        ("8x8x1-4c0-10", "kernel 0"),
        ("8x8x1-4c3s3-10", "stride 3 of '4c3s3' is neither 1 nor 2"),
        ("8x8x1-4c3s0-10", "stride 0"),
        ("8x8x1-4c3p3-10", "padding 3 of '4c3p3' must be below its kernel of 3"),
        ("2x2x1-4c5p0-10", "does not fit an input of 2x2 pixels"),
    ],
)
def test_refusals(text, words):
    with pytest.raises(TridentError) as refused:
        Network.parse(text)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
