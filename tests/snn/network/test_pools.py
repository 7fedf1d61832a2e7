"""Pools and windows of networks, and those that are refused."""

import pytest

from trident.hw.errors import TridentError
from trident.snn.network.builder import Builder
from trident.snn.network.network import Network
from trident.snn.network.windows import Windows


@pytest.mark.parametrize(("fields", "words"), [
    ({"method": "average", "size": 3}, "pool 'pool1' takes the mean of 9 pixels: those of a core are a power of two"),
    ({"method": "average", "size": 6}, "takes the mean of 36 pixels: those of a core are a power of two"),
    ({"method": "average", "size": 2, "stride": 1},
     "takes the average of windows of 2x2 every 1, which do not divide an image of 6x6: a core takes the maximum of"),
    ({"method": "sum", "size": 2, "padding": 1}, "takes the sum of windows of 2x2, padding 1, which do not divide an"),
    ({"stride": 16}, "has windows every 16 pixels: a core has them every 15"),
])  # fmt: skip
def test_pools_that_no_core_has(fields, words):
    build = Builder((6, 6, 2))
    for kind, given in (("conv", {"channels": 3, "kernel": 3}), ("neuron", {}), ("pool", fields), ("flatten", {}),
                        ("linear", {"outputs": 4}), ("neuron", {})):  # fmt: skip
        build.add(kind, **given)
    with pytest.raises(TridentError) as refused:
        assert build.network().layers
    assert words in str(refused.value)


def test_pools_join_the_layers_beside_them():
    first, second, last = Network.parse("8x8x1-4c3-mp2-6c3s2p1-mp2-5").layers
    assert (first.pool, first.out_shape, first.pooled_shape) == (2, (8, 8, 4), (4, 4, 4))
    assert (second.image, second.out_shape, second.pooled_shape) == ((4, 4, 4), (2, 2, 6), (1, 1, 6))
    assert (last.image, last.pool, second.sources, last.sources) == ((1, 1, 6), 1, (0,), (1,))


@pytest.mark.parametrize(("text", "pools", "joins", "shapes"), [
    ("8x9x1-4c3-mp3s2p1-5", [1, 1], ["3x3 every 2, padding 1", "None"], [(4, 5, 4), (1, 1, 5)]),
    ("7x8x1-4c3-mp2-5", [1, 1], ["2x2", "None"], [(3, 4, 4), (1, 1, 5)]),
    ("12x12x1-4c3-mp2-4c3-mp3-5", [2, 1, 1], ["None", "3x3", "None"], [(6, 6, 4), (2, 2, 4), (1, 1, 5)]),
    ("8x8x1-4c3-mp2s3p1-5", [1, 1], ["2x2 every 3, padding 1", "None"], [(3, 3, 4), (1, 1, 5)]),
])  # fmt: skip
def test_windows_that_do_not_divide_an_image_are_joined(text, pools, joins, shapes):
    """Those of another size than the first as well."""
    layers = Network.parse(text).layers
    assert [layer.pool for layer in layers] == pools and [str(layer.join) for layer in layers] == joins
    assert [layer.pooled_shape for layer in layers] == shapes and layers[0].rewrites
    assert Network.parse("8x9x1-4c3m3s2p1-5").layers[0].window == Windows(3, 2, 1)


@pytest.mark.parametrize(("text", "words"), [
    ("8x8x1-4c3-mp3p2-5", "pool 'pool2': padding must be at most half of size, 1, not 2"),
    ("8x8x1-4c3-mp3s0-5", "'mp3s0' must follow a layer and have a window of 2 pixels or more, every 1 or more"),
    ("8x8x1-4c3m2s0-5", "layer '4c3m2s0' needs windows of 2 pixels or more, every 1 or more"),
    ("8x8x1-4c3-mp3s2p1-drop-5", "'drop3' cannot drop the largest of windows of 3x3 every 2, padding 1, only of such"),
    ("64-8m1-5", "layer '8m1' needs windows of 2 outputs or more"),
    ("64-9m2-5", "takes the largest of 2 of the 9 outputs of linear 'linear1': a core takes that of consecutive outpu"),
    ("64-9-8m2", "neuron 'neuron2' takes the largest sums of outputs, so it cannot be the last"),
    ("64-9-8m2r", "readout 'readout2' takes the largest sums of outputs, so it cannot be the last"),
    ("5x5x1-4c5p0m2-5", "takes the largest of 2 of the 4 outputs of conv 'conv1'"),
    ("8x8x1-4c3m2-mp3s2p1-5", "'pool2' joins spikes of 'neuron1', which takes the largest sums of windows already"),
])  # fmt: skip
def test_windows_that_no_network_has(text, words):
    with pytest.raises(TridentError) as refused:
        assert Network.parse(text).layers
    assert words in str(refused.value)


def test_a_pool_of_outputs():
    """Of a linear node the largest of consecutive ones, before its neurons alone."""
    first, last = Network.parse("64-12m3-5").layers
    assert (first.line, first.sum_shape, first.out_shape, first.pixels_shape) == (3, (1, 1, 12), (1, 1, 4), (1, 3, 4))
    assert (last.line, last.in_shape, first.keeps_sums) == (1, (1, 1, 4), True)
    build = Builder((1, 1, 8))
    for kind, given in (("linear", {"outputs": 6}), ("neuron", {}), ("pool", {"size": 2}), ("linear", {"outputs": 4}),
                        ("neuron", {})):  # fmt: skip
        build.add(kind, **given)
    with pytest.raises(TridentError, match="^pool 'pool1' joins spikes of a vector: a core takes the largest of sums"):
        assert build.network().layers
