"""Kernels: sizes, strides, padding and dilation of each axis, in the shorthand and in files."""

import numpy as np
import pytest

from trident.host.train.spec import RunSpec
from trident.hw.errors import TridentError
from trident.snn.network.builder import Builder
from trident.snn.network.files import dumps, loads
from trident.snn.network.kernel import Kernel
from trident.snn.network.network import Network


@pytest.mark.parametrize("text, kernel", [
    ("4c3", Kernel((3, 3), (1, 1), (1, 1))), ("4c11s4", Kernel((11, 11), (4, 4), (5, 5))),
    ("4c5x3s2x1p2x0", Kernel((5, 3), (2, 1), (2, 0))), ("4c3x2d2x3", Kernel((3, 2), (1, 1), (2, 3), (2, 3))),
    ("4c1x9s1x3", Kernel((1, 9), (1, 3), (0, 4))), ("4c3p0d4", Kernel((3, 3), (1, 1), (0, 0), (4, 4))),
])  # fmt: skip
def test_what_the_shorthand_says(text, kernel):
    """Padding is half the kernel, times the dilation, where none is given."""
    network = Network.parse(f"24x20x2-{text}-3")
    layer = network.layers[0]
    assert layer.kernel == kernel and layer.weight_shape == (kernel.taps, 2, 4)
    for suffix in (".toml", ".json"):
        assert loads(dumps(network, suffix), suffix) == network


@pytest.mark.parametrize("text, groups, shape", [
    ("16c3g4", 4, (9, 2, 16)), ("dw3s2", 8, (9, 1, 8)), ("dw1x5p0x2d1x2", 8, (5, 1, 8)), ("6c1g2m2", 2, (1, 4, 6)),
])  # fmt: skip
def test_groups(text, groups, shape):
    network = Network.parse(f"12x12x8-{text}-3")
    layer = network.layers[0]
    assert layer.conv_groups == groups and layer.weight_shape == shape == network.tensors["conv1.weight"]
    assert layer.fan_in == shape[0] * shape[1] and network.layers[0].weights == layer.fan_in * shape[2] + shape[2]
    assert loads(dumps(network)) == network


@pytest.mark.parametrize("text, words", [
    ("6c3g4", "groups of 4 must divide channels, which is 6"), ("9c3g3", "groups of 3 must divide the 8 channels that"),
    ("8c3g0", "groups must be a whole number of at least 1"), ("dw3g2", "layer 'dw3g2' is no number of outputs"),
])  # fmt: skip
def test_groups_that_no_network_has(text, words):
    with pytest.raises(TridentError, match=words):
        Network.parse(f"12x12x8-{text}-3")


def test_groups_and_delays():
    build = Builder((4, 4, 2))
    build.add("conv", channels=2, kernel=3, groups=2)
    build.add("neuron")
    build.add("conv", "neuron1[t-1]", channels=2, kernel=1)
    build.add("neuron")
    build.add("flatten")
    build.add("linear", outputs=3)
    build.add("neuron")
    with pytest.raises(TridentError, match=r"^conv 'conv1' has groups, which no core has where neuron1\[t-1\] is read"):
        assert build.network().layers


def test_sizes_of_outputs_are_those_of_pytorch():
    torch, rng = pytest.importorskip("torch"), np.random.default_rng(0)
    for _ in range(200):
        limits = (1, 6), (1, 5), (0, 5), (1, 4)
        kernel = Kernel(*(tuple(map(int, rng.integers(low, high, 2))) for low, high in limits))
        y, x = (int(n) for n in rng.integers(1, 24, 2))
        if min(kernel.positions(y, x)) < 1:
            with pytest.raises(RuntimeError):
                torch.nn.functional.conv2d(torch.zeros(1, 1, y, x), torch.zeros(1, 1, *kernel.size), None, *kernel[1:])
            continue
        found = torch.nn.functional.conv2d(torch.zeros(1, 1, y, x), torch.zeros(1, 1, *kernel.size), None, *kernel[1:])
        assert found.shape[2:] == kernel.positions(y, x)


def test_two_numbers_that_are_equal_are_one():
    networks = []
    for size in (3, (3, 3), [3, 3]):
        build = Builder((8, 8, 1))
        build.add("conv", channels=2, kernel=size)
        build.add("neuron")
        build.add("flatten")
        build.add("linear", outputs=3)
        build.add("neuron")
        networks.append(build.network())
    assert networks[0] == networks[1] == networks[2] and networks[0].node("conv1").kernel == 3


@pytest.mark.parametrize("text, kernels", [
    ("8x8x1-4c11-10", False), ("8x8x1-4c3s2p0-10", False), ("8x8x1-4c3s3-10", True), ("8x8x1-4c3x1-10", True),
    ("8x8x1-4c3-4c3d2-10", True), ("8x8x1-8c3-dw3-10", True),
])  # fmt: skip
def test_a_core_has_kernels_of_any_shape_where_the_network_has(text, kernels):
    assert RunSpec.make(net=text, data="digits").cfg.kernels == kernels


@pytest.mark.parametrize("text, kernel", [
    ("8x8x1-4c3s3-10", "kernel 3, stride 3, padding 1"), ("8x8x1-4c3x1-10", "kernel 3x1, stride 1, padding 1x0"),
    ("8x8x1-2c3-dw3-10", "kernel 3, stride 1, padding 1, 2 groups"),
])  # fmt: skip
def test_a_shared_engine_refuses_them(text, kernel):
    with pytest.raises(TridentError, match=f"^'conv.' with {kernel} needs convolutions of any kind, which a core with"):
        RunSpec.make(net=text, data="digits", preset="COMPACT")
    assert RunSpec.make(net="8x8x1-2c11-10", data="digits", preset="COMPACT").cfg.shared_engine
