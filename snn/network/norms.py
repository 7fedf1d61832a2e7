"""What a run normalises, beside what its network says."""

from dataclasses import replace

from trident.hw.errors import TridentError
from trident.snn.network.network import Network
from trident.snn.network.nodes import Conv, Linear, Node

NORMS = ("none", "ws")


def with_norm(network: Network, norm: str) -> Network:
    """The network with the norm of this name: ``none`` leaves it as it is; ``ws``, or with an epsilon ``ws:1e-3``,
    standardises the weights of all conv and linear nodes but the last layer's.

    Raises :class:`TridentError` for another name, an epsilon that is no number above 0, and a network of one layer.
    """
    name, colon, text = norm.partition(":") if isinstance(norm, str) else (norm, "", "")
    if name not in NORMS or (colon and name != "ws"):
        raise TridentError(f"norm must be {' or '.join(NORMS)}, or with an epsilon ws:1e-3, not {norm!r}")
    if name == "none":
        return network
    try:
        epsilon = float(text) if colon else None
    except ValueError:
        raise TridentError(f"the epsilon of the norm ws must be a number above 0, not {text!r}") from None
    last = network.layers[-1].node
    if len(network.layers) == 1:
        raise TridentError(f"the norm ws is of all layers but the last, and the network has {last!r} alone")

    def changed(node: Node) -> Node:
        if isinstance(node, Conv | Linear) and node.name != last:
            return replace(node, standardise=True, epsilon=epsilon)
        return node

    return replace(network, nodes=tuple(map(changed, network.nodes)))
