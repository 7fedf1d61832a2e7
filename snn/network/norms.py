"""What a run normalises, beside what its network says."""

from dataclasses import replace

from trident.hw.errors import TridentError
from trident.snn.network.conv import Conv
from trident.snn.network.network import Network
from trident.snn.network.nodes import BATCH_EPSILON, Add, Edge, Linear, Neuron, Node, Norm, Pool, Readout

NORMS = ("none", "ws", "bn")


def with_norm(network: Network, norm: str) -> Network:
    """The network with the norm of this name, of all conv and linear nodes but the last layer's. ``none`` leaves it as
    it is; ``ws``, or with an epsilon ``ws:1e-3``, standardises weights; ``bn``, or ``bn:1e-3``, puts a batch norm
    behind nodes that have none, ``conv1_norm`` behind ``conv1``, whose biases go: the norm has offsets.

    Raises :class:`TridentError` for another name, an epsilon that is no number above 0, and a network of one layer.
    """
    name, colon, text = norm.partition(":") if isinstance(norm, str) else (norm, "", "")
    if name not in NORMS or (colon and name == "none"):
        raise TridentError(f"norm must be {', '.join(NORMS)}, or with an epsilon ws:1e-3 or bn:1e-3, not {norm!r}")
    if name == "none":
        return network
    try:
        epsilon = float(text) if colon else None
    except ValueError:
        raise TridentError(f"the epsilon of the norm {name} must be a number above 0, not {text!r}") from None
    last = network.layers[-1].node
    if len(network.layers) == 1:
        raise TridentError(f"the norm {name} is of all layers but the last, and the network has {last!r} alone")

    if name == "ws":
        inner = {part.node for layer in network.layers[:-1] for part in layer.parts}
        return replace(network, nodes=tuple(
            replace(node, standardise=True, epsilon=epsilon) if isinstance(node, Conv | Linear) and node.name in inner
            else node for node in network.nodes
        ))  # fmt: skip
    if late := next(iter(network.delays), None):
        raise TridentError(f"the norm {name} is of all timesteps at once, and {late.node!r} reads t-{late.delay}")
    inner = (layer for layer in network.layers[:-1] if layer.norm is None)
    bare = {part.node for layer in inner for part in layer.parts if not part.ones}
    nodes: list[Node] = []
    for node in network.nodes:
        if isinstance(node, Conv | Linear) and node.name in bare:
            named = Norm(f"{node.name}_norm", (Edge(node.name),), epsilon=BATCH_EPSILON if epsilon is None else epsilon)
            nodes += [replace(node, bias=False), named]
        elif isinstance(node, Neuron | Readout | Pool | Add):
            behind = (Edge(f"{edge.node}_norm") if edge.node in bare else edge for edge in node.inputs)
            nodes.append(replace(node, inputs=tuple(behind)))
        else:
            nodes.append(node)
    return replace(network, nodes=tuple(nodes))
