"""Layers: the nodes that a core computes at once. The compiler's first pass joins nodes into them."""

from dataclasses import dataclass, replace
from math import log2
from typing import TYPE_CHECKING, Any

from trident.hw.errors import TridentError
from trident.hw.isa.charges import LEARNING, SHARED
from trident.hw.isa.planes import PLACES, Planes, planes_job
from trident.snn.network.nodes import (
    EPSILON,
    INPUT,
    Add,
    Conv,
    Flatten,
    Linear,
    Neuron,
    Node,
    Norm,
    Pool,
    Readout,
    Shape,
)

if TYPE_CHECKING:
    from trident.snn.network.network import Network


@dataclass(frozen=True)
class Read:
    """Spikes that a layer reads: those of the layer ``source``, pooled where they are, or, if that is None, the
    samples. planes: they are values, or their ``plane``-th plane where values change with time. mean: pixels along a
    side of the square image whose mean is read; 1: it is read as it is."""

    source: int | None
    planes: Planes | None = None
    plane: int = 0
    mean: int = 1

    @property
    def count(self) -> float:
        """What a spike counts for, of values that stay the same that of a whole number."""
        count = 1.0 if self.planes is None or self.planes.still else self.planes.counts[self.plane]
        return count / self.mean**2

    @property
    def job(self) -> int:
        """What jobs say of it: the bits of :data:`trident.hw.isa.planes.PLANES_JOB`."""
        if self.planes and self.planes.still:
            return self.planes.job
        place = int(log2(abs(self.count)))
        return planes_job(signed=int(self.count < 0), place=place)

    @classmethod
    def all(cls, source: int | None, planes: Planes | None = None) -> "tuple[Read, ...]":
        """Those of spikes, or of values."""
        return tuple(cls(source, planes, plane) for plane in range(planes.words if planes else 1))


@dataclass(frozen=True)
class Layer:
    """A convolution, or a linear node and the flatten before it, with the neurons that take its sums.

    number: its place in the order of computation, from 0. node, neuron: names of its nodes; parameters are named after
    ``node``. reads: the spikes that it reads, which are added. image: (y, x, channels) of each of them. changes: what
    its neurons have of their own, fields of :class:`NeuronSettings` with their values. pool: pixels along a side of the
    windows whose spikes are joined behind it, and how, a method of :class:`Pool`: one that fires makes its window fire
    or, for an average or a sum, they are counted. last: its outputs are the network's. epsilon: what is added to the
    variance of its standardised weights; None: they are not standardised. norm: the node between sums and neurons.
    window: pixels along a side of the windows of which neurons take the largest sum, behind the norm; 1: they take all.
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
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    bias: bool = True
    changes: tuple[tuple[str, Any], ...] = ()
    pool: int = 1
    method: str = "max"
    last: bool = False
    epsilon: float | None = None
    norm: Norm | None = None
    window: int = 1
    voters: int = 1

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
    def walks(self) -> int:
        """Of forward and of weight_grad: one over each of its reads, and one for the biases beside a mean."""
        return len(self.reads) + (self.mean > 1 and self.bias)

    @property
    def out_planes(self) -> Planes | None:
        """What the layers above read where its spikes are counted."""
        return None if self.method == "max" else Planes.of_window(self.pool, self.method == "average")

    @property
    def keeps_sums(self) -> bool:
        """Sums are kept, for a norm or windows, before neurons take them."""
        return self.norm is not None or self.window > 1

    @property
    def readout(self) -> bool:
        """Its neurons do not fire."""
        return "readout" in dict(self.changes)

    @property
    def learns(self) -> bool:
        """The leaks of its neurons are learned."""
        return dict(self.changes).get("neuron") in LEARNING

    @property
    def shares_leak(self) -> bool:
        """Its neurons learn one leak."""
        return dict(self.changes).get("neuron") in SHARED

    @property
    def in_shape(self) -> Shape:
        """(y, x, channels) of what it reads, flattened for a linear layer."""
        y, x, channels = self.image
        return self.image if self.kind == "conv" else (1, 1, y * x * channels)

    @property
    def out_shape(self) -> Shape:
        """(y, x, channels) of the spikes that the layer fires."""
        y, x, channels = self.sum_shape
        return y // self.window, x // self.window, channels

    @property
    def sum_shape(self) -> Shape:
        """(y, x, channels) of its sums."""
        y, x, _ = self.in_shape
        return (
            (y + 2 * self.padding - self.kernel) // self.stride + 1,
            (x + 2 * self.padding - self.kernel) // self.stride + 1,
            self.out_channels,
        )

    @property
    def pooled_shape(self) -> Shape:
        """(y, x, channels) of what the layer above reads."""
        y, x, channels = self.out_shape
        return y // self.pool, x // self.pool, channels

    @property
    def taps(self) -> int:
        return self.kernel * self.kernel

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
        return (self.weight, *([self.bias_name] if self.bias else []), *self.vectors)

    @property
    def leak_name(self) -> str:
        """The name of its neurons' leaks, whether they are learned or not."""
        return f"{self.neuron}.leak"

    @property
    def vectors(self) -> tuple[str, ...]:
        """The names of parameters that every output has beside weights and bias."""
        leak = (self.leak_name,) if self.learns else ()
        return leak + ((self.norm.gain, self.norm.offset) if self.norm else ())

    @property
    def weight_shape(self) -> tuple[int, int, int]:
        return (self.taps, self.in_shape[2], self.out_channels)

    @property
    def fan_in(self) -> int:
        return self.taps * self.in_shape[2]

    @property
    def standardised(self) -> bool:
        """What the engines see are standardised weights."""
        return self.epsilon is not None

    @property
    def forward_terms(self) -> int:
        """The most weights that one sum of forward has, one for each plane of a value."""
        return self.fan_in * self.mean**2 * len(self.reads) * (self.planes.bits if self.planes else 1) + self.bias

    @property
    def backward_terms(self) -> int:
        """The most products that it adds to one error of a layer below."""
        return self.taps * self.out_channels

    def gradient_terms(self, timesteps: int) -> int:
        """The most errors that one sample adds to a gradient; those of real values are summed over time before."""
        y, x, _ = self.sum_shape
        return y * x * self.mean**2 * len(self.reads) * (self.planes.bits if self.planes else timesteps)

    def leak_terms(self, timesteps: int) -> int:
        """The most terms that one sample adds to the gradient of a leak."""
        y, x, channels = self.out_shape
        return y * x * timesteps * (channels if self.shares_leak else 1)

    @property
    def weights(self) -> int:
        """Trainable values."""
        return (self.fan_in + self.bias + len(self.vectors)) * self.out_channels

    def __str__(self) -> str:
        behind = ", batch norm" if self.norm else ""
        if self.voters > 1:
            behind += f", {self.voters} voters for a class"
        if self.kind == "linear":
            return f"linear {self.in_shape[2]}→{self.out_channels}{behind}"
        y, x, c = self.in_shape
        if self.window > 1:
            behind += f", largest of {self.window}x{self.window}"
        return (
            f"conv {y}x{x}x{c}→{self.out_channels}, kernel {self.kernel}, stride {self.stride}, "
            f"padding {self.padding}{behind}"
        )


def fuse(network: "Network") -> tuple[Layer, ...]:
    """The layers of a network, in the order of computation.

    Raises :class:`TridentError` for a node that no core computes; the sentence says what it would need.
    """
    for node in network.nodes:
        for edge in node.inputs:
            if edge.delay:
                raise TridentError(f"{node} reads {edge}: no core keeps spikes from one timestep to the next")
    layers: list[Layer] = []
    windows: list[Node] = []  # between sums and neurons
    fired = {INPUT: Read.all(None, network.planes)}  # by node, the spikes that its output adds up
    for node in network.nodes:
        if isinstance(node, Conv | Linear):
            layers.append(_layer(network, node, len(layers), fired))
            if node.standardise:
                layers[-1] = _standardised(layers[-1], node)
            norm, window = _behind(network, node)
            layers[-1] = replace(layers[-1], norm=norm, window=window.size if window else 1)
            windows += [window] if window else []
            if not layers[-1].readout:
                pool = _pool(network, layers[-1])
                if pool:
                    layers[-1] = replace(layers[-1], pool=pool.size, method=pool.method)
                fired[pool.name if pool else layers[-1].neuron] = Read.all(len(layers) - 1, layers[-1].out_planes)
        elif isinstance(node, Add):
            fired[node.name] = _added(network, node, fired)
        elif node in windows:
            continue
        elif isinstance(node, Pool) and _is_whole(network, node):
            fired[node.name] = _mean(network, node, fired)
        elif isinstance(node, Pool) and node.inputs[0].node not in (layer.neuron for layer in layers):
            raise TridentError(f"{node} must join the spikes of a neuron node, not read {node.inputs[0]}")
        elif isinstance(node, Neuron | Readout) and node.name not in (layer.neuron for layer in layers):
            raise TridentError(f"{node} must take the sums of a conv, linear or norm node, not {node.inputs[0]}")
        elif isinstance(node, Norm) and node not in (layer.norm for layer in layers):
            raise TridentError(f"{node} must take the sums of a conv or linear node, not {node.inputs[0]}")
    last = layers[-1]
    if network.output != last.neuron or last.pool > 1:
        raise TridentError(f"the network's output must be the neurons behind its last layer, not {network.output!r}")
    if last.window > 1 and network.voters > 1:
        raise TridentError(f"{network.node(last.neuron)} has voters, so it cannot take the largest sums of windows")
    return *layers[:-1], replace(last, last=True, voters=network.voters)


def _added(network: "Network", node: Add, fired: dict[str, tuple[Read, ...]]) -> tuple[Read, ...]:
    """What an add node sums up: the spikes of its inputs, one after another."""
    for edge in node.inputs:
        if edge.node not in fired:
            raise TridentError(f"{node} must add spikes, those of neurons, not the output of {network.node(edge.node)}")
        if edge.node == INPUT and network.planes and network.planes.still:
            raise TridentError(f"{node} adds real values that stay the same over time to spikes, which no core does")
    return tuple(read for edge in node.inputs for read in fired[edge.node])


def _is_whole(network: "Network", node: Node) -> bool:
    """Whether a node takes the mean of all pixels."""
    y, x, _ = network.shapes[node.inputs[0].node]
    return isinstance(node, Pool) and node.method == "average" and y == x == node.size > 1


def _mean(network: "Network", node: Pool, fired: dict[str, tuple[Read, ...]]) -> tuple[Read, ...]:
    """What a node reads that takes the mean of all pixels. Raises :class:`TridentError` for one that no core takes."""
    source = node.inputs[0].node
    if source not in fired:
        raise TridentError(f"{node} must take the mean of spikes, not of the output of {network.node(source)}")
    reads = tuple(replace(read, mean=node.size) for read in fired[source])
    low, high = (float(2**n) for n in (PLACES.start, PLACES.stop - 1))
    if node.size & (node.size - 1):
        raise TridentError(f"{node} takes the mean of {node.size**2} pixels: those of a core are a power of two")
    if not all(low <= abs(read.count) <= high for read in reads):
        raise TridentError(f"{node} takes the mean of values so small that a spike would count for less than {low:g}")
    if any(read.planes and read.planes.still for read in reads):
        raise TridentError(f"{node} takes the mean of values that stay the same over time, which no core does")
    return reads


def _layer(network: "Network", node: Conv | Linear, number: int, fired: dict[str, tuple[Read, ...]]) -> Layer:
    source = node.inputs[0].node
    image = network.shapes[source]
    if source != INPUT and isinstance(flatten := network.node(source), Flatten):
        _only_reader(network, flatten, "linear")
        source = flatten.inputs[0].node
        image = network.shapes[source]
    if source not in fired:
        raise TridentError(f"{node} must read spikes, those of neurons or of the samples, not {network.node(source)}")
    reads = fired[source]
    if len({read.mean for read in reads}) > 1 or (reads[0].mean > 1 and isinstance(node, Conv)):
        raise TridentError(f"{node} must be linear to read the mean of all pixels, which is added to other means alone")
    norm, window = _behind(network, node)
    neuron = _only_reader(network, window or norm or node, "neuron", "readout")
    assert isinstance(neuron, Neuron | Readout)
    names, own = (number, node.name, neuron.name, reads), neuron.changes
    if isinstance(node, Linear):
        return Layer(*names, "linear", image, node.outputs, bias=node.bias, changes=own)
    return Layer(*names, "conv", image, node.channels, node.kernel, node.stride, node.padding, node.bias, own)


def _behind(network: "Network", node: Conv | Linear) -> tuple[Norm | None, Pool | None]:
    """The norm that takes a node's sums, and the pool that takes the largest of windows before neurons do, as far as
    there are such. Raises :class:`TridentError`, naming the node, for a pool that no core has."""
    reader = _only_reader(network, node, "neuron", "readout", "norm", "pool")
    norm = reader if isinstance(reader, Norm) else None
    if norm:
        reader = _only_reader(network, norm, "neuron", "readout", "pool")
    if not isinstance(reader, Pool):
        return norm, None
    if reader.method != "max" or reader.size != reader.stride:
        raise TridentError(
            f"{reader} must take the largest sum of windows that do not overlap, to be between sums and neurons"
        )
    return norm, reader


def _standardised(layer: Layer, node: Conv | Linear) -> Layer:
    """A layer with standardised weights."""
    if layer.fan_in == 1:
        raise TridentError(f"{node} has one weight for each output, which standardised is 0: it needs two or more")
    return replace(layer, epsilon=EPSILON if node.epsilon is None else node.epsilon)


def _pool(network: "Network", layer: Layer) -> Pool | None:
    """The pool node that joins a layer's spikes, if there is one.

    Raises :class:`TridentError`, naming the node, for one that no core has.
    """
    pools = [reader for reader in network.readers[layer.neuron] if isinstance(reader, Pool)]
    if all(_is_whole(network, pool) for pool in pools):
        return None
    pool = _only_reader(network, network.node(layer.neuron), "pool")
    assert isinstance(pool, Pool)
    if layer.window > 1:
        raise TridentError(f"{pool} joins spikes of {layer.neuron!r}, which takes the largest sums of windows already")
    y, x, _ = layer.out_shape
    if pool.method == "average" and pool.size & (pool.size - 1):
        raise TridentError(f"{pool} takes the mean of {pool.size**2} pixels: those of a core are a power of two")
    if pool.size != pool.stride:
        raise TridentError(
            f"{pool} has windows of {pool.size} pixels every {pool.stride}: those of a core do not overlap"
        )
    if y % pool.size or x % pool.size:
        raise TridentError(f"{pool} has windows of {pool.size} pixels, which do not fill an image of {y}x{x}")
    return pool


def _only_reader(network: "Network", node: Node, *kinds: str) -> Node:
    """The one node that reads ``node``, which must be of one of these kinds."""
    readers = network.readers[node.name]
    if len(readers) != 1 or readers[0].kind not in kinds:
        found = ", ".join(map(str, readers)) or "nobody"
        raise TridentError(f"{node} must be read by one {' or '.join(kinds)} node alone, not by {found}")
    return readers[0]
