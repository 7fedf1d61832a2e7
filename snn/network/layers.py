"""Layers: the nodes that a core computes at once. The compiler's first pass joins nodes into them, see :func:`fuse`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log2
from typing import Any

import numpy as np

from trident.hw.isa.charges import LEARNING, SHARED
from trident.hw.isa.dropout import POWERS
from trident.hw.isa.planes import Planes, planes_job
from trident.snn.network.kernel import PIXEL, Kernel
from trident.snn.network.nodes import Norm, Shape
from trident.snn.network.windows import Windows


@dataclass(frozen=True)
class Read:
    """Spikes that a layer reads: those of the layer ``source``, pooled where they are, or, if that is None, the
    samples. planes: they are values, or their ``plane``-th plane where values change with time. mean: pixels along a
    side of the square image whose mean is read; 1: it is read as it is. drop: behind a dropout each spike that is left
    counts for ``2**drop``. held: or, of another share, the weights that it is read with are held times so much, that of
    a spike in training. delay: those of so many timesteps ago are read."""

    source: int | None
    planes: Planes | None = None
    plane: int = 0
    mean: int = 1
    drop: int = 0
    held: float = 1.0
    delay: int = 0

    @property
    def count(self) -> float:
        """What a spike counts for, of values that stay the same that of a whole number."""
        count = 1.0 if self.planes is None or self.planes.still else self.planes.counts[self.plane]
        return count * 2.0**self.drop / self.mean**2

    @property
    def tested(self) -> "Read":
        """As it is read in inference, where nothing is dropped."""
        return replace(self, drop=0, held=1.0)

    @property
    def job(self) -> int:
        """What jobs say of it: the bits of :data:`trident.hw.isa.planes.PLANES_JOB`."""
        if self.planes and self.planes.still:
            return self.planes.job
        place = int(log2(abs(self.count)))
        return planes_job(signed=int(self.count < 0), place=place)

    @classmethod
    def all(cls, source: int | None, planes: Planes | None = None, dropped: float = 0.0) -> "tuple[Read, ...]":
        """Those of spikes, or of values; ``dropped``: the share that a dropout drops of them."""
        drop = POWERS.get(dropped, 0)
        held = 1.0 if drop else 1 / (1 - dropped)
        return tuple(
            cls(source, planes, plane, drop=drop, held=held) for plane in range(planes.words if planes else 1)
        )


@dataclass(frozen=True)
class Layer:
    """A convolution, or a linear node and the flatten before it, with the neurons that take its sums.

    branches: further convolutions whose sums are added to its own before the neurons, each a layer of the same number
    that has nothing behind it; what a layer says of weights, of what it reads and of parameters is of its own
    convolution, unless it speaks of all ``parts``.

    adds: the numbers of layers whose sums, as their neurons take them, are added to its own, behind norm and windows.
    kept: others add its sums. fires: it has neurons; a layer without is there for those who add its sums, and
    ``neuron`` names the node that these sums are of. constant: its weights, from each channel to itself, are this
    number, those to others 0, and are not trained; None: they are. silent: no errors go to what it reads. copies: the
    number of a layer whose spikes it fires as well, so that the errors at those come to it, too; nobody reads its own.

    number: its place in the order of computation, from 0. node, neuron: names of its nodes; parameters are named after
    ``node``. reads: the spikes that it reads, which are added. image: (y, x, channels) of each of them. changes: what
    its neurons have of their own, fields of :class:`NeuronSettings` with their values. pool: pixels along a side of the
    windows whose spikes are joined behind it, and how, a method of :class:`Pool`: one that fires makes its window fire
    or, for an average or a sum, they are counted. join: likewise windows of which one fires where any pixel does, but
    which overlap or do not divide the image, or are of another size than those of another layer. drop: the share
    that is dropped in training of what the layer above reads; 0: nothing is. last: its outputs are the network's.
    epsilon: what is added to the variance of its standardised weights; None: they are not standardised. norm: the node
    between sums and neurons.
    conv_groups: parts of its channels, each of which reads a part of the channels of its own.
    window: the windows of which neurons take the largest sum, behind the norm; None: they take all.
    voters: consecutive outputs that vote for a class, if it is the last layer.

    A linear layer takes it flattened in (y, x, channel) order, as the 1x1 convolution of a 1x1 image.
    """

    number: int
    node: str
    neuron: str
    reads: tuple[Read, ...]
    kind: str
    image: Shape
    out_channels: int
    kernel: Kernel = PIXEL
    bias: bool = True
    conv_groups: int = 1
    changes: tuple[tuple[str, Any], ...] = ()
    pool: int = 1
    method: str = "max"
    join: Windows | None = None
    drop: float = 0.0
    last: bool = False
    epsilon: float | None = None
    norm: Norm | None = None
    window: Windows | None = None
    voters: int = 1
    branches: "tuple[Layer, ...]" = ()
    adds: tuple[int, ...] = ()
    kept: bool = False
    fires: bool = True
    constant: float | None = None
    silent: bool = False
    copies: int | None = None

    @property
    def parts(self) -> "tuple[Layer, ...]":
        """All convolutions whose sums its neurons take: its own, which reads other layers, and those of its
        branches."""
        return self, *self.branches

    @property
    def recurrent(self) -> bool:
        """A branch reads the layer's own spikes, of timesteps ago."""
        return any(self.number in branch.sources for branch in self.branches)

    @property
    def delay(self) -> int:
        """Timesteps between the spikes that it reads and its sums."""
        return self.reads[0].delay

    @property
    def sources(self) -> tuple[int | None, ...]:
        """The numbers of the layers whose spikes it reads; None: the samples."""
        return tuple(read.source for read in self.reads if read.plane == 0)

    @property
    def planes(self) -> Planes | None:
        """It reads real values that stay the same over time."""
        planes = self.reads[0].planes
        return planes if planes and planes.still else None

    @property
    def mean(self) -> int:
        """Pixels along a side of the square image whose mean it reads; 1: what it reads is no mean."""
        return self.reads[0].mean

    @property
    def held(self) -> float:
        """What its weights are multiplied by where they are held for training: what a spike counts for that a dropout
        has left. Inference has them without it."""
        return self.reads[0].held

    @property
    def walks(self) -> int:
        """Of forward and of weight_grad, of all parts: one over each of their reads, and one for the biases beside a
        mean."""
        return sum(len(part.reads) + (part.mean > 1 and part.bias) for part in self.parts)

    @property
    def out_planes(self) -> Planes | None:
        """What the layers above read where its spikes are counted."""
        return None if self.method == "max" else Planes.of_window(self.pool, self.method == "average")

    @property
    def rewrites(self) -> bool:
        """The layers above read what is made of its spikes, not those as they are."""
        return self.pool > 1 or self.join is not None or self.drop > 0

    @property
    def keeps_sums(self) -> bool:
        """Sums are kept, for a norm, windows or adds, before neurons take them."""
        return self.norm is not None or self.window is not None or self.kept or bool(self.adds)

    @property
    def fixed(self) -> bool:
        """Its weights are not trained."""
        return self.constant is not None

    @property
    def fired_by(self) -> int:
        """The number of the layer whose spikes others read in place of its own."""
        return self.number if self.copies is None else self.copies

    @property
    def in_adds(self) -> bool:
        """It adds the sums of others, or others add its own."""
        return self.kept or bool(self.adds)

    @property
    def windows(self) -> Windows | None:
        """The windows, of its sums or of its spikes, of which is kept which pixel is the largest."""
        return self.window or self.join

    @property
    def line(self) -> int:
        """Consecutive outputs of which neurons take the largest sum; 1: they take all."""
        return self.window.size if self.window and self.window.line else 1

    @property
    def windows_shape(self) -> Shape:
        """(y, x, channels) of those windows."""
        return self.out_shape if self.window else self.pooled_shape

    @property
    def pixels_shape(self) -> Shape:
        """(y, x, channels) of the image that they are windows of: consecutive outputs are taken for one pixel high."""
        if self.line > 1:
            return 1, self.line, self.out_channels // self.line
        return self.sum_shape if self.window else self.out_shape

    @property
    def readout(self) -> bool:
        """Its neurons do not fire."""
        return "readout" in dict(self.changes)

    @property
    def learned(self) -> str:
        """What its neurons learn, leak or threshold, or nothing."""
        own = dict(self.changes)
        if own.get("neuron") in LEARNING:
            return "leak"
        return "threshold" if own.get("learn_threshold", "none") != "none" and self.fires else ""

    @property
    def learns(self) -> bool:
        """The leaks or thresholds of its neurons are learned."""
        return bool(self.learned)

    @property
    def shares_leak(self) -> bool:
        """Its neurons learn one leak, or threshold."""
        own = dict(self.changes)
        return own.get("neuron") in SHARED or own.get("learn_threshold") == "layer"

    @property
    def in_shape(self) -> Shape:
        """(y, x, channels) of what it reads, flattened for a linear layer."""
        y, x, channels = self.image
        return self.image if self.kind == "conv" else (1, 1, y * x * channels)

    @property
    def out_shape(self) -> Shape:
        """(y, x, channels) of the spikes that the layer fires."""
        return self.window.shape(self.pixels_shape) if self.window else self.sum_shape

    @property
    def sum_shape(self) -> Shape:
        """(y, x, channels) of its sums."""
        y, x, _ = self.in_shape
        return (*self.kernel.positions(y, x), self.out_channels)

    @property
    def pooled_shape(self) -> Shape:
        """(y, x, channels) of what the layer above reads."""
        if self.join:
            return self.join.shape(self.out_shape)
        y, x, channels = self.out_shape
        return y // self.pool, x // self.pool, channels

    @property
    def taps(self) -> int:
        return self.kernel.taps

    @property
    def weight(self) -> str:
        """The name of its weights."""
        return f"{self.node}.weight"

    @property
    def bias_name(self) -> str:
        """The name of its biases, whether it has them or not."""
        return f"{self.node}.bias"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all its parameters."""
        own = () if self.fixed else (self.weight, *([self.bias_name] if self.bias else []))
        return *own, *self.vectors

    @property
    def leak_name(self) -> str:
        """The name of what its neurons learn, or of their leaks."""
        return f"{self.neuron}.{self.learned or 'leak'}"

    @property
    def vectors(self) -> tuple[str, ...]:
        """The names of parameters that every output has beside weights and bias."""
        leak = (self.leak_name,) if self.learns else ()
        return leak + ((self.norm.gain, self.norm.offset) if self.norm else ())

    @property
    def weight_shape(self) -> tuple[int, int, int]:
        return (self.taps, self.in_shape[2] // self.conv_groups, self.out_channels)

    @property
    def fixed_weights(self) -> np.ndarray:
        """Its weights, float64, if they are not trained."""
        assert self.constant is not None
        if self.conv_groups > 1:  # there are none to other channels
            return np.full(self.weight_shape, self.constant)
        return np.eye(self.out_channels)[None] * self.constant

    @property
    def fan_in(self) -> int:
        return self.taps * self.in_shape[2] // self.conv_groups

    @property
    def plain(self) -> bool:
        """It is a convolution that every core computes."""
        return self.kernel.plain and self.conv_groups == 1

    @property
    def standardised(self) -> bool:
        """What the engines see are standardised weights."""
        return self.epsilon is not None

    @property
    def forward_terms(self) -> int:
        """The most weights that one sum of forward has, of all parts, one for each plane of a value."""
        own = self.fan_in * self.mean**2 * len(self.reads) * (self.planes.bits if self.planes else 1) + self.bias
        return own + sum(branch.forward_terms for branch in self.branches)

    @property
    def backward_terms(self) -> int:
        """The most products that it adds to one error of a layer below."""
        return self.taps * self.out_channels // self.conv_groups

    def gradient_terms(self, timesteps: int) -> int:
        """The most errors that one sample adds to a gradient of any part; those of real values are summed over time
        before."""
        y, x, _ = self.sum_shape
        own = y * x * self.mean**2 * len(self.reads) * (self.planes.bits if self.planes else timesteps)
        return max(own, *(branch.gradient_terms(timesteps) for branch in self.branches), 0)

    def leak_terms(self, timesteps: int) -> int:
        """The most terms that one sample adds to the gradient of a leak."""
        y, x, channels = self.out_shape
        return y * x * timesteps * (channels if self.shares_leak else 1)

    @property
    def weights(self) -> int:
        """Trainable values of all parts."""
        own = (self.fan_in * (not self.fixed) + self.bias + len(self.vectors)) * self.out_channels
        return own + sum(branch.weights for branch in self.branches)

    def __str__(self) -> str:
        behind = ", batch norm" if self.norm else ""
        if self.window:
            behind += f", largest of {self.window}"
        if self.voters > 1:
            behind += f", {self.voters} voters for a class"
        behind += f" of t-{self.delay}" if self.delay else ""
        behind += "".join(f", plus {branch}" for branch in self.branches if not branch.silent)
        behind += "".join(f", plus sums of layer {number + 1}" for number in self.adds)
        if self.fixed:
            joined = any(branch.silent for branch in self.branches)
            what = "spikes for the loss" if self.last else "joined spikes" if joined else "spikes as sums"
            return f"{what} {'x'.join(map(str, self.image))}{behind}"
        if self.kind == "linear":
            return f"linear {self.in_shape[2]}→{self.out_channels}{behind}"
        y, x, c = self.in_shape
        groups = f", {self.conv_groups} groups" if self.conv_groups > 1 else ""
        return f"conv {y}x{x}x{c}→{self.out_channels}, {self.kernel}{groups}{behind}"


def adders_of(layers: Sequence[Layer]) -> tuple[tuple[int, ...], ...]:
    """By the number of a layer of a network, the numbers of those that add its sums."""
    return tuple(tuple(other.number for other in layers if layer.number in other.adds) for layer in layers)
