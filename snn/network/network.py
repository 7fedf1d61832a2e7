"""A spiking network: a directed graph of named nodes with named parameters."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from trident.hw.errors import TridentError
from trident.hw.isa.planes import Planes
from trident.snn.network.fuse import fuse
from trident.snn.network.layers import Layer, adders_of
from trident.snn.network.nodes import INPUT, Edge, Neuron, Node, Norm, Shape

Tensors = dict[str, np.ndarray]
"""Parameters, or their momenta or gradients, by name: ``conv1.weight`` is the tensor ``weight`` of node ``conv1``."""


@dataclass(frozen=True)
class Network:
    """A network over samples of shape (y, x, channel), checked when it is made.

    nodes: in any order; each names what it reads. output: the node whose output is the network's, by default the last.
    planes: samples are real values, and these say what their bits count for; None: they are spikes.
    Raises :class:`TridentError`, in one sentence that names the node, for names that are missing or given twice, shapes
    that do not meet, a circle without a delay or one that nothing leads to, and an output that nobody reads.

    >>> Network.parse("8x8x1-16c3-10").tensors["conv1.weight"]
    (9, 1, 16)
    """

    in_shape: Shape
    nodes: tuple[Node, ...]
    output: str = ""
    planes: Planes | None = None

    def __post_init__(self):
        if len(self.in_shape) != 3 or any(not isinstance(n, int) or n < 1 for n in self.in_shape):
            raise TridentError(f"a network takes samples of a shape (y, x, channels), not {self.in_shape!r}")
        if not self.nodes:
            raise TridentError("a network needs at least one node")
        if not self.output:
            object.__setattr__(self, "output", self.nodes[-1].name)
        names = [node.name for node in self.nodes]
        for name in names:
            if names.count(name) > 1:
                raise TridentError(f"two nodes are called {name!r}: every node needs a name of its own")
        for node in self.nodes:
            for edge in node.inputs:
                if edge.node not in (INPUT, *names):
                    raise TridentError(f"{node} reads {edge.node!r}, which is no node of the network")
        if self.output not in names:
            raise TridentError(f"the network's output is to be {self.output!r}, which is no node of it")
        read = {edge.node for node in self.nodes for edge in node.inputs}
        if unread := [node for node in self.nodes if node.name not in read and node.name != self.output]:
            raise TridentError(f"nobody reads {unread[0]}: connect it, or make it the network's output")
        if INPUT not in read:
            raise TridentError("no node reads the network's input")
        object.__setattr__(self, "nodes", self._ordered())
        self._check_shapes()
        self._check_voters()

    def _ordered(self) -> tuple[Node, ...]:
        """The nodes, each after those that it reads without a delay; otherwise in the order given."""
        left, done, ordered = list(self.nodes), {INPUT}, []
        while left:
            ready = next((n for n in left if all(edge.delay or edge.node in done for edge in n.inputs)), None)
            if ready is None:
                circle = ", ".join(node.name for node in left)
                raise TridentError(
                    f"the nodes {circle} wait for each other: a circle needs a delay, as in {left[0].name}[t-1]"
                )
            left.remove(ready)
            done.add(ready.name)
            ordered.append(ready)
        return tuple(ordered)

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every node's output, and of the input, by name."""
        found: dict[str, Shape] = {INPUT: self.in_shape}
        left = list(self.nodes)
        while left:  # a delayed input may come from a node further on
            ready = [n for n in left if all(edge.node in found for edge in n.inputs)]
            late = [n for n in left if any(edge.node in found for edge in n.inputs)]
            if not (ready or late):
                circle = ", ".join(node.name for node in left)
                raise TridentError(f"the nodes {circle} read only each other: one of them must read another node")
            for node in ready[:1] or late[:1]:
                found[node.name] = node.out_shape(*(found[e.node] for e in node.inputs if e.node in found))
                left.remove(node)
        return found

    def _check_shapes(self):
        for node in self.nodes:
            node.out_shape(*(self.shapes[edge.node] for edge in node.inputs))

    def _check_voters(self):
        for node in self.nodes:
            if not isinstance(node, Neuron) or not node.votes:
                continue
            y, x, outputs = self.shapes[node.name]
            if node.name != self.output:
                raise TridentError(f"{node} has voters, which are of the network's output, {self.output!r}")
            if (y, x) != (1, 1):
                raise TridentError(f"{node} has voters, which are of a vector of outputs, not of an image of {y}x{x}")
            if outputs % node.voters:
                raise TridentError(f"{node} has {outputs} outputs, which {node.voters} voters of a class do not divide")

    def node(self, name: str) -> Node:
        """The node called ``name``. Raises :class:`KeyError` for a name that there is not."""
        return next(node for node in self.nodes if node.name == name)

    @cached_property
    def readers(self) -> dict[str, tuple[Node, ...]]:
        """By name, the nodes that read a node's output, or the input, in the order of computation."""
        return {
            name: tuple(node for node in self.nodes if any(edge.node == name for edge in node.inputs))
            for name in self.shapes
        }

    @cached_property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter, by its name."""
        return {
            f"{node.name}.{tensor}": shape
            for node in self.nodes
            for tensor, shape in node.tensors(self.shapes[node.inputs[0].node]).items()
        }

    @property
    def sample_shape(self) -> Shape:
        """(y, x, channels) of a sample's spikes: of values that change with time, each plane has channels of its own,
        behind those of the last."""
        y, x, channels = self.in_shape
        return y, x, channels * (self.planes.words if self.planes else 1)

    @property
    def weights(self) -> int:
        """Trainable values."""
        return sum(prod(shape) for shape in self.tensors.values())

    @property
    def voters(self) -> int:
        """Consecutive neurons of the output that vote for a class."""
        output = self.node(self.output)
        return output.voters or 1 if isinstance(output, Neuron) else 1

    @property
    def classes(self) -> int:
        """Values of the output, or what they vote for."""
        return prod(self.shapes[self.output]) // self.voters

    def most_spikes(self, steps: int) -> int:
        """The most spikes that a class can have in so many timesteps, those of all its voters."""
        return steps * self.voters

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The network as the hardware computes it, see :class:`Layer`, in the order of computation.

        Raises :class:`TridentError`, naming the node, for what no core computes.
        """
        return fuse(self)

    @cached_property
    def parts(self) -> tuple[Layer, ...]:
        """The convolutions of all layers, those of a layer's branches behind its own."""
        return tuple(part for layer in self.layers for part in layer.parts)

    @cached_property
    def spike_readers(self) -> tuple[tuple[Layer, ...], ...]:
        """By the number of a layer, the parts of layers that read its spikes, or those that it copies, and give errors
        to them, as often as they add them."""
        loud = [part for part in self.parts if not part.silent]
        return tuple(
            tuple(part for part in loud for source in part.sources if source == layer.fired_by) for layer in self.layers
        )

    @cached_property
    def adders(self) -> tuple[tuple[int, ...], ...]:
        """By the number of a layer, the numbers of those that add its sums."""
        return adders_of(self.layers)

    @property
    def adds(self) -> tuple[Layer, ...]:
        """Its layers that add the sums of others."""
        return tuple(layer for layer in self.layers if layer.adds)

    @property
    def delays(self) -> tuple[Layer, ...]:
        """The parts of its layers that read spikes of timesteps ago."""
        return tuple(part for part in self.parts if part.delay)

    @property
    def norms(self) -> tuple[Norm, ...]:
        """The norms of its layers."""
        return tuple(layer.norm for layer in self.layers if layer.norm)

    @property
    def batch_norm(self) -> bool:
        """Whether a layer has a batch norm."""
        return bool(self.norms)

    @property
    def windows(self) -> tuple[Layer, ...]:
        """Its layers whose neurons take the largest sums of windows."""
        return tuple(layer for layer in self.layers if layer.window)

    @property
    def drops(self) -> tuple[Layer, ...]:
        """Its layers whose neurons are dropped in training."""
        return tuple(layer for layer in self.layers if layer.drop)

    @property
    def held(self) -> dict[str, float]:
        """By name, what weights are multiplied by where they are held for training, of those that are: see
        :attr:`Layer.held`."""
        return {part.weight: part.held for part in self.parts if part.held != 1}

    @property
    def learns(self) -> tuple[Layer, ...]:
        """Its layers whose neurons learn their leaks."""
        return tuple(layer for layer in self.layers if layer.learns)

    @property
    def grouped(self) -> tuple[Layer, ...]:
        """Its grouped convolutions."""
        return tuple(part for part in self.parts if part.conv_groups > 1)

    @property
    def branches(self) -> bool:
        """Whether spikes or sums are added, or spikes are read by several layers or later."""
        added = any(layer.branches or layer.adds or len(layer.sources) > 1 for layer in self.layers)
        return added or any(len(own) > 1 for own in self.spike_readers) or bool(self.delays)

    def error_terms(self, layer: int) -> int:
        """The most products that one error at the spikes of the layer with this number is the sum of."""
        return sum(reader.backward_terms for reader in self.spike_readers[layer])

    def initial_weights(self, seed: int) -> Tensors:
        """Every parameter, uniform in ±1/sqrt(fan_in) unless its node says what it begins with, as float64; the same
        for the same seed."""
        rng = np.random.default_rng(seed)
        values = {}
        for node in self.nodes:
            shape = self.shapes[node.inputs[0].node]
            bound = 1 / np.sqrt(node.fan_in(shape))
            for tensor, size in node.tensors(shape).items():
                given = node.initial.get(tensor)
                drawn = rng.uniform(-bound, bound, size) if given is None else np.full(size, float(given))
                values[f"{node.name}.{tensor}"] = drawn
        return values

    @classmethod
    def parse(cls, text: str, bias: bool = True) -> "Network":
        """The network that ``text`` describes: a shorthand (:mod:`snn.network.shorthand`), as in ``64-128-10``, or the
        path of a network file (:mod:`snn.network.files`) that ends in .toml or .json.

        Raises :class:`TridentError` for what it cannot read, and what a network raises.
        """
        from trident.snn.network.files import SUFFIXES, load
        from trident.snn.network.shorthand import read

        if text.strip().lower().endswith(SUFFIXES):
            return load(text.strip())
        return read(text, bias)


def edges(*names: str) -> tuple[Edge, ...]:
    """The inputs of a node by name, as in ``edges("conv1", "neuron1[t-1]")``."""
    return tuple(map(Edge.parse, names))
