"""Nodes that add sums: what their inputs are, and the layers that they become."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trident.hw.errors import TridentError
from trident.snn.network.conv import Conv
from trident.snn.network.kernel import PIXEL
from trident.snn.network.layers import Layer, Read
from trident.snn.network.nodes import INPUT, Add, Linear, Node, Norm, Pool

if TYPE_CHECKING:
    from trident.snn.network.network import Network


@dataclass(frozen=True)
class Addends:
    """The inputs of a node that adds sums. own: conv and linear nodes whose sums it alone takes, as they are. normed:
    likewise those behind whose sums is a norm or a pool. reads: spikes, each of which counts for 1. numbers: of layers
    whose sums others take as well."""

    own: tuple[Conv | Linear, ...]
    normed: tuple[Conv | Linear, ...]
    reads: tuple[Read, ...]
    numbers: tuple[int, ...]


def is_sums(network: "Network", name: str) -> bool:
    """Whether the output of a node, or the input, are sums and not spikes."""
    if name == INPUT:
        return False
    node = network.node(name)
    if isinstance(node, Add):
        return node.method is None and any(is_sums(network, edge.node) for edge in node.inputs)
    if isinstance(node, Pool):
        return is_sums(network, node.inputs[0].node)
    return isinstance(node, Conv | Linear | Norm)


def base_of(network: "Network", name: str) -> Conv | Linear | Add:
    """The node that makes the sums which the node called ``name`` gives, perhaps behind a norm or a pool."""
    node = network.node(name)
    while isinstance(node, Norm | Pool):
        node = network.node(node.inputs[0].node)
    assert isinstance(node, Conv | Linear | Add)
    return node


def adders_of(network: "Network", node: Node) -> list[Add]:
    """The nodes that add the output of a node."""
    return [reader for reader in network.readers[node.name] if isinstance(reader, Add)]


def only_added(network: "Network", node: Node) -> bool:
    """Whether one add takes the output of a node, and nothing else does."""
    readers = network.readers[node.name]
    return len(readers) == 1 and isinstance(readers[0], Add)


def addends(
    network: "Network", node: Add, fired: dict[str, tuple[Read, ...]], sums: dict[str, int]
) -> Addends:  # fmt: skip
    """What a node adds; ``fired``: by node, the spikes that its output adds up; ``sums``: by node, the layer with its
    sums. Raises :class:`TridentError`, naming the node, for what no core adds."""
    own: list[Conv | Linear] = []
    normed: list[Conv | Linear] = []
    reads: list[Read] = []
    numbers: list[int] = []
    names = [edge.node for edge in node.inputs]
    for name in names:
        if not is_sums(network, name):
            if name not in fired:
                raise TridentError(
                    f"{node} must add sums or spikes, those of neurons, not the output of {network.node(name)}"
                )
            reads += fired[name]
        elif names.count(name) > 1:
            raise TridentError(f"{node} adds the sums of {network.node(name)} twice, which no core does")
        elif name in sums:
            numbers.append(sums[name])
        else:
            base = base_of(network, name)
            assert isinstance(base, Conv | Linear)  # other sums have been computed before
            (own if base.name == name else normed).append(base)
    if any(read.mean > 1 for read in reads):
        raise TridentError(f"{node} adds the mean of all pixels to sums, which no core does")
    if any(read.planes and read.planes.still for read in reads):
        raise TridentError(f"{node} adds real values that stay the same over time to sums, which no core does")
    if not (own or normed or reads):
        raise TridentError(
            f"{node} adds sums alone that others take as well: one of its inputs must be spikes, or sums that it alone "
            "takes"
        )
    return Addends(tuple(own), tuple(normed), tuple(reads), tuple(numbers))


def ones(network: "Network", node: Add, number: int, reads: tuple[Read, ...]) -> Layer:
    """Spikes as sums, of the layer with this number."""
    return _constant(network, node, number, reads, 1.0)


def _constant(
    network: "Network", node: Add, number: int, reads: tuple[Read, ...], weight: float, name: str = ""
) -> Layer:  # fmt: skip
    shape = network.shapes[node.name]
    return Layer(
        number, node.name + name, node.name, reads, "conv", shape, shape[2], PIXEL, bias=False, conv_groups=shape[2],
        constant=weight,
    )  # fmt: skip


_GATE = {
    "neuron": "lif", "leak": 0.0, "decay_input": False, "reset": "hard", "v_reset": 0.0, "surrogate": "rectangle",
    "window": 1.0, "detach": True, "spike_penalty": 0.0, "learn_threshold": "none",
}  # fmt: skip
"""Neurons that keep nothing of a timestep for the next, and let errors through within 1 of their threshold."""


def gates(network: "Network", node: Add, number: int, fired: dict[str, tuple[Read, ...]]) -> tuple[Layer, Layer]:
    """The layers of a node that joins two spikes a and b: "and", a · b, or "iand", a · (1 - b).

    Each tells all four pairs apart by a sum with weights of 1 and 2, so that it fires for one of them, and its error
    passes for the two of them for which the output depends on the input that it goes to: b of a, and a, or its
    negative, of b. What others read are the spikes of the first.
    """
    found = []
    for edge in node.inputs:
        reads = fired.get(edge.node, ())
        if len(reads) != 1 or reads[0] != Read(reads[0].source):
            what = edge.node if edge.node == INPUT else network.node(edge.node)
            raise TridentError(f"{node} joins spikes of neurons, which are 0 or 1, not {what}")
        found.append(reads)
    a, b = found

    def gate(k: int, own: tuple, other: tuple, threshold: float) -> Layer:
        """Of reads with their weights; errors go to the first."""
        first, second = (
            _constant(network, node, number + k, reads, weight, f":{2 * k + n}")
            for n, (reads, weight) in enumerate((own, other), 1)
        )
        changes = tuple((_GATE | {"threshold": threshold}).items())
        return replace(first, branches=(replace(second, silent=True),), changes=changes, copies=number if k else None)

    if node.method == "and":
        return gate(0, (a, 1.0), (b, 2.0), 2.5), gate(1, (b, 1.0), (a, 2.0), 2.5)
    return gate(0, (a, 1.0), (b, -2.0), 0.5), gate(1, (b, -1.0), (a, 2.0), 1.5)


def loss_gate(output: Layer) -> Layer:
    """The layer behind that of the network's output which fires what this has fired. The loss makes the errors of its
    neurons, and they go to those of the output as any layer's do, beside those of who reads them a timestep later."""
    return Layer(
        output.number + 1, f"{output.neuron}:loss", output.neuron, Read.all(output.number), output.kind,
        output.out_shape, output.out_channels, bias=False, changes=tuple((_GATE | {"threshold": 0.5}).items()),
        constant=1.0,
    )  # fmt: skip


def check_adds(network: "Network", layers: list[Layer]) -> list[Layer]:
    """The layers, with what others add said. Raises :class:`TridentError`, naming a node, for sums that no core
    adds."""
    added = {number for layer in layers for number in layer.adds}
    for layer in layers:
        if layer.number not in added and not layer.adds:
            continue
        name = network.node(layer.neuron)
        if layer.line > 1:
            raise TridentError(f"{name} takes the largest sums of outputs, which are not added to others")
        if late := next((edge for node in network.nodes for edge in node.inputs if edge.delay), None):
            raise TridentError(f"{name} takes sums that are kept for others, which no core does where {late} is read")
        if any(part.planes for part in layer.parts):
            raise TridentError(f"{name} adds sums of real values that stay the same over time, which no core does")
    if layers[-1].adds or layers[-1].number in added:
        raise TridentError(
            f"{network.node(layers[-1].neuron)} is the network's output, so its sums are added to no others"
        )
    return [replace(layer, kept=layer.number in added) for layer in layers]
