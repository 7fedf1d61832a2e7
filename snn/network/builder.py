"""A network, node by node, in Python."""

from typing import Any

from trident.snn.network.kinds import make_node
from trident.snn.network.network import Network
from trident.snn.network.nodes import INPUT, Node, Shape


class Builder:
    """Make a :class:`Network` by adding nodes; each reads the node before, unless told otherwise.

    >>> build = Builder((8, 8, 1))
    >>> build.add("conv", channels=16, kernel=3)
    'conv1'
    >>> build.add("neuron"), build.add("flatten"), build.add("linear", outputs=10), build.add("neuron")
    ('neuron1', 'flatten1', 'linear1', 'neuron2')
    >>> build.network().weights
    10410
    """

    def __init__(self, in_shape: Shape):
        """``in_shape``: (y, x, channels) of a sample."""
        self.in_shape = in_shape
        self._nodes: list[Node] = []

    def add(self, kind: str, *inputs: str, name: str | None = None, **fields: Any) -> str:
        """Add a node, a ``kind`` of :data:`KINDS` with these ``fields``, and return its name.

        inputs: what it reads, ``"neuron1[t-1]"`` for a delay; by default the node that was added last. name: by default
        the kind and a number. Raises what :func:`make_node` raises.
        """
        before = self._nodes[-1].name if self._nodes else INPUT
        number = 1 + sum(node.kind == kind for node in self._nodes)
        node = make_node(name or f"{kind}{number}", kind, inputs or (before,), fields)
        self._nodes.append(node)
        return node.name

    def network(self, output: str = "") -> Network:
        """The network, whose output is the node added last, or ``output``. Raises what :class:`Network` raises."""
        return Network(self.in_shape, tuple(self._nodes), output)
