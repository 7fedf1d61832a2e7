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
NORM_ELEMENT = 88.0  # pJ, both ways, that the latter have for every value of a norm: those of one small layer


@dataclass(frozen=True)
class Stage:
    """A layer of a network; fires: neurons take its sums; normalised: behind batch norm."""

    dense: DenseLayer
    fires: bool = True
    normalised: bool = True

    @property
    def unstrided(self) -> DenseLayer:
        """The layer at the size of its input, as the authors' tool has it backward."""
        y, x = self.dense.kernel.stride
        plain = self.dense.kernel._replace(stride=(1, 1))
        return replace(self.dense, height=y * self.dense.height, width=x * self.dense.width, kernel=plain)


def networks() -> dict[str, list[Stage]]:
    """The layers of S-ResNet18, S-ResNet50 and S-VGG16 as SpikingJelly has them, biases left out."""
    found = {"resnet18": _resnet((2, 2, 2, 2), 1), "resnet50": _resnet((3, 4, 6, 3), 4), "vgg16": _vgg()}
    return {name: list(stages) for name, stages in found.items()}


def tool_networks() -> dict[str, list[Stage]]:
    """The layers of these networks that the authors' own tool has, by the shapes in SpikingJelly's file of what it
    says: no first one, which reads pixels, and no linear ones, shortcuts of S-ResNet18 with a kernel of 3, and neurons
    behind all of them."""
    found = networks() | {"resnet18": list(_resnet((2, 2, 2, 2), 1, shortcut=3))}
    return {
        name: [replace(stage, fires=True) for stage in stages if stage.normalised and not stage.dense.values]
        for name, stages in found.items()
    }


def _conv(inputs: int, outputs: int, pixels: int, kernel: int, stride: int = 1) -> DenseLayer:
    shape = Kernel.square(kernel, stride)
    return DenseLayer(inputs, outputs, pixels, pixels, shape, TIMESTEPS, SAMPLES, values=inputs == 3)


def _linear(inputs: int, outputs: int) -> Stage:
    last = outputs == CLASSES
    return Stage(DenseLayer(inputs, outputs, timesteps=TIMESTEPS, samples=SAMPLES), not last, normalised=False)


def _resnet(blocks: tuple[int, ...], wider: int, shortcut: int = 1) -> Iterator[Stage]:
    """Of two convolutions of 3x3, or of a bottleneck whose outputs are ``wider`` than what is between, and shortcuts of
    this kernel."""
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
                yield Stage(_conv(inputs, outputs, pixels, shortcut, stride), fires=False)
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


def reference_efficiency(stages: list[Stage], table: EnergyTable, everything: bool) -> float:
    """TFLOPS/W of a training step by SpikingJelly's function, with neurons and, with ``everything``, batch norm and
    Adam: errors of pixels are not computed, and those of a strided layer go through the memories at the size of its
    input."""
    counts, macs = Counts(), 0
    for stage in stages:
        dense = stage.dense
        for name, count in PASSES.items():
            if name != "backward" or not dense.values:
                counts = counts + count(dense)
                macs += dense.macs
        if stage.fires:
            counts = counts + neurons(dense.results) + neuron_errors(dense.results)
        if everything:
            if stage.normalised:
                groups = dense.outputs * TIMESTEPS
                counts = counts + norm(dense.results, groups) + norm_errors(dense.results, groups)
            counts = counts + adam(dense.weights, 2 * dense.outputs * stage.normalised)
    return efficiency(macs, table.total(counts))


def tool_efficiency(stages: list[Stage], table: EnergyTable, everything: bool) -> float:
    """TFLOPS/W of a training step as the published figures have it: backward and weight_grad of a strided layer take as
    many multiply-accumulates as one without a stride, which count, and errors come to the neurons in front of a layer;
    of ``everything``, values of a norm take :data:`NORM_ELEMENT`."""
    counts, macs, more = Counts(), 0, 0.0
    for stage in stages:
        dense, back = stage.dense, stage.unstrided
        counts = counts + PASSES["forward"](dense) + neurons(dense.results)
        counts = counts + PASSES["backward"](back) + neuron_errors(back.read) + PASSES["weight_grad"](back)
        macs += dense.macs + 2 * back.macs
        if everything:
            counts = counts + adam(dense.weights, 2 * dense.outputs)
            more += NORM_ELEMENT * dense.results
    return efficiency(macs, table.total(counts) + more)
