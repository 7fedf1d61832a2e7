"""Layers: the nodes that a core computes at once. The compiler's first pass joins nodes into them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trident.hw.errors import TridentError
from trident.hw.isa.planes import Planes
from trident.snn.nodes import EPSILON, INPUT, Conv, Flatten, Linear, Neuron, Node, Pool, Readout, Shape

if TYPE_CHECKING:
    from trident.snn.network import Network


@dataclass(frozen=True)
class Layer:
    """A convolution, or a linear node and the flatten before it, with the neurons that take its sums.

    number: its place in the order of computation, from 0. node, neuron: names of its nodes; parameters are named after
    ``node``. source: the number of the layer whose spikes it reads; None: it reads the samples. image: (y, x, channels)
    of what it reads. changes: what its neurons have of their own, fields of :class:`NeuronSettings` with their values.
    planes: it reads real values that stay the same over time. pool: pixels along a side of the windows whose spikes are
    joined behind it: one that fires makes its window fire. last: its outputs are the network's. epsilon: what is added
    to the variance of its standardised weights; None: they are not standardised.
    A linear layer takes it flattened in (y, x, channel) order, as the 1x1 convolution of a 1x1 image.
    """

    number: int
    node: str
    neuron: str
    source: int | None
    kind: str
    image: Shape
    out_channels: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    bias: bool = True
    changes: tuple[tuple[str, Any], ...] = ()
    planes: Planes | None = None
    pool: int = 1
    last: bool = False
    epsilon: float | None = None

    @property
    def readout(self) -> bool:
        """Its neurons do not fire."""
        return "readout" in dict(self.changes)

    @property
    def in_shape(self) -> Shape:
        """(y, x, channels) of what it reads, flattened for a linear layer."""
        y, x, channels = self.image
        return self.image if self.kind == "conv" else (1, 1, y * x * channels)

    @property
    def out_shape(self) -> Shape:
        """(y, x, channels) of the spikes that the layer fires."""
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
        return self.fan_in * (self.planes.bits if self.planes else 1) + self.bias

    @property
    def backward_terms(self) -> int:
        """The most products that one error of the layer below is the sum of."""
        return self.taps * self.out_channels

    def gradient_terms(self, timesteps: int) -> int:
        """The most errors that one sample adds to a gradient; those of real values are summed over time before."""
        y, x, _ = self.out_shape
        return y * x * (self.planes.bits if self.planes else timesteps)

    @property
    def weights(self) -> int:
        """Trainable values."""
        return self.fan_in * self.out_channels + self.bias * self.out_channels

    def __str__(self) -> str:
        if self.kind == "linear":
            return f"linear {self.in_shape[2]}→{self.out_channels}"
        y, x, c = self.in_shape
        return (
            f"conv {y}x{x}x{c}→{self.out_channels}, kernel {self.kernel}, stride {self.stride}, "
            f"padding {self.padding}"
        )


# What each kind of node would need of a core
_NEEDS = {"norm": "normalisation in the neuron unit", "add": "sums of several inputs"}


def fuse(network: "Network") -> tuple[Layer, ...]:
    """The layers of a network, in the order of computation.

    Raises :class:`TridentError` for a node that no core computes; the sentence says what it would need.
    """
    for node in network.nodes:
        for edge in node.inputs:
            if edge.delay:
                raise TridentError(f"{node} reads {edge}: no core keeps spikes from one timestep to the next")
        if node.kind in _NEEDS:
            raise TridentError(f"{node} cannot be computed: it needs {_NEEDS[node.kind]}, which no core has")
    layers: list[Layer] = []
    fired: dict[str, int | None] = {INPUT: None}  # by node, the layer whose spikes its output is
    for node in network.nodes:
        if isinstance(node, Conv | Linear):
            layers.append(_layer(network, node, len(layers), fired))
            if node.standardise:
                layers[-1] = _standardised(layers[-1], node)
            if not layers[-1].readout:
                pool = _pool(network, layers[-1])
                if pool:
                    layers[-1] = replace(layers[-1], pool=pool.size)
                fired[pool.name if pool else layers[-1].neuron] = len(layers) - 1
        elif isinstance(node, Pool) and node.inputs[0].node not in (layer.neuron for layer in layers):
            raise TridentError(f"{node} must join the spikes of a neuron node, not read {node.inputs[0]}")
        elif isinstance(node, Neuron | Readout) and node.name not in (layer.neuron for layer in layers):
            raise TridentError(f"{node} must take the sums of a conv or linear node, not {node.inputs[0]}")
    _check_chain(network, layers)
    return *layers[:-1], replace(layers[-1], last=True)


def _layer(network: "Network", node: Conv | Linear, number: int, fired: dict[str, int | None]) -> Layer:
    source = node.inputs[0].node
    image = network.shapes[source]
    if source != INPUT and isinstance(flatten := network.node(source), Flatten):
        _only_reader(network, flatten, "linear")
        source = flatten.inputs[0].node
        image = network.shapes[source]
    if source not in fired:
        raise TridentError(f"{node} must read spikes, those of a neuron or of the samples, not {network.node(source)}")
    neuron = _only_reader(network, node, "neuron", "readout")
    assert isinstance(neuron, Neuron | Readout)
    names, own = (number, node.name, neuron.name, fired[source]), neuron.changes
    planes = network.planes if source == INPUT else None
    if isinstance(node, Linear):
        return Layer(*names, "linear", image, node.outputs, bias=node.bias, changes=own, planes=planes)
    return Layer(
        *names, "conv", image, node.channels, node.kernel, node.stride, node.padding, node.bias, own, planes
    )  # fmt: skip


def _standardised(layer: Layer, node: Conv | Linear) -> Layer:
    """A layer with standardised weights."""
    if layer.fan_in == 1:
        raise TridentError(f"{node} has one weight for each output, which standardised is 0: it needs two or more")
    return replace(layer, epsilon=EPSILON if node.epsilon is None else node.epsilon)


def _pool(network: "Network", layer: Layer) -> Pool | None:
    """The pool node that joins a layer's spikes, if there is one.

    Raises :class:`TridentError`, naming the node, for one that no core has.
    """
    if not any(isinstance(reader, Pool) for reader in network.readers[layer.neuron]):
        return None
    pool = _only_reader(network, network.node(layer.neuron), "pool")
    assert isinstance(pool, Pool)
    y, x, _ = layer.out_shape
    if pool.method != "max":
        raise TridentError(f"{pool} takes the {pool.method}: no core joins spikes but by their maximum")
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


def _check_chain(network: "Network", layers: list[Layer]):
    """A core sends its spikes to one next layer, and the last layer's spikes are the output."""
    for layer in layers:
        readers = [other for other in layers if other.source == layer.number]
        if len(readers) > 1:
            names = ", ".join(other.node for other in readers)
            raise TridentError(f"the spikes of {layer.neuron!r} go to {names}: a core sends them to one layer only")
    if len([layer for layer in layers if layer.source is None]) > 1:
        raise TridentError("the samples go to several nodes: a core takes them for one layer only")
    last = layers[-1]
    if network.output != last.neuron or last.pool > 1:
        raise TridentError(f"the network's output must be the neurons behind its last layer, not {network.output!r}")
