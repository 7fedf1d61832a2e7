"""Cores with kernels of any shape."""

import numpy as np
import pytest

from tests.cocotb.placing import any_kernel
from tests.hw.core.benches import (
    BF16,
    CHUNKS,
    NORM,
    POOL,
    SHORT,
    WALKS,
    check,
    check_chip,
    check_cycles,
    check_networks,
    check_words,
    core_of,
    normed,
)
from trident.host.train.step_bench import StepBench
from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.snn.network.builder import Builder
from trident.snn.network.kernel import Kernel
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

KERNELS = {"kernels": True}
NETWORKS = (
    "9x7x1-3c3s3-4c3d2-3", "1x21x2-3c1x9s1x3-4c1x3d1x2-3", "11x6x1-2c11x3s4x1-3c1x5s1x2-3", "7x8x1-3c4x2s3x4p3x1-3",
    "8x8x1-2c3p3d3-3c5x1s2x3-3c2x3p0-3", "6x5x2-4c3-3c1s4-3", "12-9-3",
)  # fmt: skip
KERNEL_FIELDS = {"kernel": "size"}  # of a node, as a Kernel calls it
ROOM = {"weight_rows": 2048, "spike_words": 1024, "error_words": 512}


def random_networks(seed: int, count: int = 6):
    """Two convolutions of any kernels behind each other, and a linear layer."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        y, x = (int(n) for n in rng.integers(1, 9, 2))
        build = Builder((y, x, int(rng.integers(1, 4))))
        for _ in range(2):
            kernel = any_kernel(rng, y, x)
            build.add("conv", channels=int(rng.integers(1, 5)), **kernel, bias=bool(rng.integers(2)))
            y, x = Kernel(**{KERNEL_FIELDS.get(name, name): pair for name, pair in kernel.items()}).positions(y, x)
            build.add("neuron", threshold=0.3)
        build.add("flatten")
        build.add("linear", outputs=3)
        build.add("neuron", threshold=0.3)
        yield build.network()


@pytest.mark.parametrize("changes, stalls", [
    ({}, None), ({"lanes": 4, "words": 4, "accumulators": 32, "gradient_bits": 40}, 3),
    (SHORT | {"backward_cols": 2, "forward_cols": 2, "weight_grad_cols": 2}, 5), (BF16, None),
    (CHUNKS | {"program_words": 512, "jobs": 256}, None),
])  # fmt: skip
def test_networks(changes, stalls):
    """Sizes up to 11, strides up to 4, kernels and strides that differ along the axes, dilation, images of a row."""
    assert check_networks(NETWORKS, stalls, **ROOM | KERNELS | changes) > 10


@pytest.mark.parametrize("changes, stalls", [
    ({}, None), ({"lanes": 4, "words": 4, "accumulators": 32, "gradient_bits": 40}, 3), (BF16, None),
])  # fmt: skip
def test_random_networks(changes, stalls):
    core, cfg = core_of("TINY", stalls, **ROOM | KERNELS | changes)
    rng, fired = np.random.default_rng(5), 0
    for number, network in enumerate(random_networks(11)):
        text = ", ".join(map(str, network.layers))
        fired += check(StepBench(network, NeuronSettings.of(cfg), cfg, core, number, minibatch=5), rng, text)
    assert fired > 0


@pytest.mark.parametrize("changes, stalls", [
    ({}, None), (POOL | {"lanes": 4, "gradient_bits": 40}, 3), (NORM | {"lanes": 4, "gradient_bits": 48}, 5),
])  # fmt: skip
def test_sums_of_several_walks(changes, stalls):
    """Residual blocks, whose branches have different strides, and branches with kernels of their own."""
    core, cfg = core_of("TINY", stalls, **WALKS | KERNELS | changes)
    build = Builder((8, 7, 2))
    build.add("conv", channels=3, kernel=(3, 5), stride=(2, 3))
    build.add("neuron", threshold=0.3)
    build.add("conv", "input", channels=4, kernel=4, stride=4, dilation=2, padding=3)
    build.add("conv", "neuron1", channels=4, kernel=(3, 1), stride=(4, 2), padding=(2, 0), name="other")
    build.add("add", "conv2", "other")
    build.add("neuron", threshold=0.3)
    build.add("flatten")
    build.add("linear", outputs=3)
    build.add("neuron", threshold=0.3)
    rng, fired = np.random.default_rng(5), 0
    networks = [Network.parse("9x9x1-3c3s3-sew4s2-3"), build.network()]
    if cfg.batch_norm:
        networks[1:] = [normed(Network.parse("9x7x2-3c3x5s2x3-4c1x3d1x2-3"), 1)]
    if cfg.pool > 1:
        networks.append(Network.parse("8x10x1-3c3x5p1x2-mp2-4c1x3d1x2-3c5x4s4x3-3"))
    for number, network in enumerate(networks):
        bench = StepBench(network, NeuronSettings.of(cfg), cfg, core, number, minibatch=5)
        fired += check(bench, rng, str(number))
    assert fired > 0


@pytest.mark.parametrize("text", [
    "11x9x1-3c3s3-4", "12x9x2-3c5x3s4x2-4", "1x40x2-4c1x9s1x3-4", "9x9x1-3c3d2-3c3s4-4", "9x9x1-3c11s2-4",
])  # fmt: skip
def test_cycles(text):
    """Those that the mapper forecasts for a sample, of each engine."""
    check_cycles(text, 0.02, **ROOM | KERNELS)


def test_layers_on_several_cores():
    """Each of which has a part of the channels, and of the errors below."""
    check_chip("8x7x1-4c3x5s2x3-6c3x1d2x1-3", "1/2,2/2,3", 3, 2, **ROOM | KERNELS)


def test_words():
    check_words("9x7x1-3c3s3-4c3d2-3", **ROOM | KERNELS)


def test_a_core_without_them():
    cfg = CoreConfig.preset("TINY")
    with pytest.raises(TridentError, match="^'conv1' with kernel 3x1, stride 1, padding 1x0 needs convolutions of "):
        StepBench(Network.parse("8x8x1-2c3x1-3"), NeuronSettings.of(cfg), cfg, None)
