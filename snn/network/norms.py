"""What a run normalises, beside what its network says."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from trident.hw.errors import TridentError
from trident.snn.network.conv import Conv
from trident.snn.network.network import Network
from trident.snn.network.nodes import BATCH_EPSILON, Add, Edge, Linear, Neuron, Node, Norm, Pool, Readout

NORMS = ("none", "ws", "bn", "tdbn")


def with_norm(network: Network, norm: str, threshold: float = 1.0) -> Network:
    """The network with the norm of this name, of all conv and linear nodes but the last layer's. ``none`` leaves it as
    it is; ``ws``, or with an epsilon ``ws:1e-3``, standardises weights; ``bn``, or ``bn:1e-3``, puts a batch norm
    behind nodes that have none, ``conv1_norm`` behind ``conv1``, whose biases go: the norm has offsets. ``tdbn`` is a
    batch norm whose gains depend on the ``threshold``, see :func:`threshold_scales`.

    Raises :class:`TridentError` for another name, an epsilon that is no number above 0, and a network of one layer.
    """
    name, colon, text = norm.partition(":") if isinstance(norm, str) else (norm, "", "")
    if name not in NORMS or (colon and name == "none"):
        names = ", ".join(NORMS)
        raise TridentError(f"norm must be one of {names}, or with an epsilon ws:1e-3 or bn:1e-3, not {norm!r}")
    if name == "none":
        return network
    try:
        epsilon = float(text) if colon else None
    except ValueError:
        raise TridentError(f"the epsilon of the norm {name} must be a number above 0, not {text!r}") from None
    hidden = [layer for layer in network.layers if layer.neuron != network.output]
    last = network.layers[len(hidden)].node
    if not hidden:
        raise TridentError(f"the norm {name} is of all layers but the last, and the network has {last!r} alone")

    if name == "ws":
        inner = {part.node for layer in hidden for part in layer.parts}
        return replace(network, nodes=standardised(network.nodes, inner, epsilon))
    if late := next(iter(network.delays), None):
        raise TridentError(f"the norm {name} is of all timesteps at once, and {late.node!r} reads t-{late.delay}")
    without = (layer for layer in hidden if layer.norm is None)
    bare = {part.node for layer in without for part in layer.parts if not part.fixed}
    scales = threshold_scales(network, bare, threshold) if name == "tdbn" else dict.fromkeys(bare, 1.0)
    return replace(network, nodes=behind_norms(network.nodes, scales, BATCH_EPSILON if epsilon is None else epsilon))


def frozen(network: Network) -> Network:
    """The network with all its batch norms frozen. Raises :class:`TridentError` for one that has none."""
    if not network.norms:
        raise TridentError("there is no batch norm to be frozen: give norm bn, or layers as 16c3bn")
    nodes = (replace(node, frozen=True) if isinstance(node, Norm) else node for node in network.nodes)
    return replace(network, nodes=tuple(nodes))


def standardised(nodes: Iterable[Node], names: Collection[str], epsilon: float | None = None) -> tuple[Node, ...]:
    """The nodes, of which those of these names have standardised weights."""
    return tuple(
        replace(node, standardise=True, epsilon=epsilon) if isinstance(node, Conv | Linear) and node.name in names
        else node for node in nodes
    )  # fmt: skip


def threshold_scales(network: Network, names: Iterable[str], threshold: float) -> dict[str, float]:
    """What gains of threshold-dependent batch norms (Zheng et al., arXiv 2011.05280) behind nodes of these names begin
    with: the threshold of the neurons that take the sums, or that of the run, over the root of how many inputs an add
    between them has."""
    found = {}
    for layer in network.layers:
        own = dict(layer.changes).get("threshold", threshold)
        for name in (part.node for part in layer.parts if part.node in names):
            added = (len(reader.inputs) for reader in network.readers[name] if isinstance(reader, Add))
            found[name] = own / max(added, default=1) ** 0.5
    return found


def behind_norms(
    nodes: Iterable[Node], scales: Mapping[str, float], epsilon: float = BATCH_EPSILON
) -> tuple[Node, ...]:  # fmt: skip
    """The nodes, behind conv and linear nodes that have a scale a batch norm each, ``conv1_norm`` behind ``conv1``, of
    that scale, which those read that have read the node; biases go."""
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, Conv | Linear) and node.name in scales:
            norm = Norm(f"{node.name}_norm", (Edge(node.name),), epsilon=epsilon, scale=scales[node.name])
            found += [replace(node, bias=False), norm]
        elif isinstance(node, Neuron | Readout | Pool | Add):
            behind = (Edge(f"{edge.node}_norm", edge.delay) if edge.node in scales else edge for edge in node.inputs)
            found.append(replace(node, inputs=tuple(behind)))
        else:
            found.append(node)
    return tuple(found)
