"""The networks on ImageNet that the reference's energy is published of, layer by layer, and what its model says."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from trident.host.energy.counts import Counts
from trident.host.energy.reference import (
    PASSES,
    DenseLayer,
    adam,
    efficiency,
    neuron_errors,
    neurons,
    norm,
    norm_errors,
)
from trident.host.energy.table import EnergyTable
from trident.snn.network.kernel import Kernel

TIMESTEPS, SAMPLES, CLASSES, PIXELS = 4, 16, 1000, 224
STAGES = ((64, 56), (128, 28), (256, 14), (512, 7))  # of residual networks: channels, pixels
PUBLISHED = {"resnet18": (1.111, 1.081), "resnet50": (1.100, 1.045), "vgg16": (1.133, 1.118)}
"""TFLOPS/W without and with batch norm and Adam, of 16 samples and T = 4."""


@dataclass(frozen=True)
class Stage:
    """A layer of a network; fires: neurons take its sums; normalised: behind batch norm."""

    dense: DenseLayer
    fires: bool = True
    normalised: bool = True


def networks() -> dict[str, list[Stage]]:
    """The layers of S-ResNet18, S-ResNet50 and S-VGG16, biases left out."""
    found = {"resnet18": _resnet((2, 2, 2, 2), 1), "resnet50": _resnet((3, 4, 6, 3), 4), "vgg16": _vgg()}
    return {name: list(stages) for name, stages in found.items()}


def _conv(inputs: int, outputs: int, pixels: int, kernel: int, stride: int = 1) -> DenseLayer:
    shape = Kernel.square(kernel, stride)
    return DenseLayer(inputs, outputs, pixels, pixels, shape, TIMESTEPS, SAMPLES, values=inputs == 3)


def _linear(inputs: int, outputs: int) -> Stage:
    last = outputs == CLASSES
    return Stage(DenseLayer(inputs, outputs, timesteps=TIMESTEPS, samples=SAMPLES), not last, normalised=False)


def _resnet(blocks: tuple[int, ...], wider: int) -> Iterator[Stage]:
    """Of two convolutions of 3x3, or of a bottleneck whose outputs are ``wider`` than what is between."""
    yield Stage(_conv(3, 64, 112, 7, 2))
    inputs = 64
    for (channels, pixels), many in zip(STAGES, blocks, strict=True):
        for number in range(many):
            stride, outputs = 2 if number == 0 and channels > 64 else 1, channels * wider
            if wider == 1:
                yield Stage(_conv(inputs, channels, pixels, 3, stride))
            else:
                yield Stage(_conv(inputs, channels, pixels * stride, 1))
                yield Stage(_conv(channels, channels, pixels, 3, stride))
            yield Stage(_conv(channels, outputs, pixels, 3 if wider == 1 else 1))
            if inputs != outputs:
                yield Stage(_conv(inputs, outputs, pixels, 1, stride), fires=False)
            inputs = outputs
    yield _linear(inputs, CLASSES)


def _vgg() -> Iterator[Stage]:
    inputs, pixels = 3, PIXELS
    for channels, many in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(many):
            yield Stage(_conv(inputs, channels, pixels, 3))
            inputs = channels
        pixels //= 2
    for outputs in (4096, 4096, CLASSES):
        yield _linear(inputs * pixels**2, outputs)
        inputs, pixels = outputs, 1


def reference_efficiency(stages: list[Stage], table: EnergyTable, strided: bool, everything: bool) -> float:
    """TFLOPS/W of a training step by the reference's model; errors of pixels are not computed.

    strided: errors of a strided layer go through the memories at the size of its input, as in SpikingJelly's model;
    or else at that of its output. everything: with neurons, batch norm and Adam; or the engines alone.
    """
    counts, macs = Counts(), 0
    for stage in stages:
        dense = stage.dense
        if not strided:
            dense = replace(dense, kernel=dense.kernel._replace(stride=(1, 1)))
        for name, count in PASSES.items():
            if name != "backward" or not dense.values:
                counts = counts + count(dense)
                macs += dense.macs
        if everything:
            groups = dense.outputs * TIMESTEPS
            if stage.fires:
                counts = counts + neurons(dense.results) + neuron_errors(dense.results)
            if stage.normalised:
                counts = counts + norm(dense.results, groups) + norm_errors(dense.results, groups)
            counts = counts + adam(dense.weights, 2 * dense.outputs * stage.normalised)
    return efficiency(macs, table.total(counts))
