"""Which neurons learn their leaks, where a run says it and not the network."""

from dataclasses import replace

from trident.hw.isa.charges import LEARNING
from trident.snn.network.network import Network
from trident.snn.network.nodes import Neuron, Node, Readout
from trident.snn.settings import NeuronSettings


def with_leaks(network: Network, settings: NeuronSettings) -> Network:
    """The network whose neurons have the leaks that the run's ``settings`` let them learn, and begin with theirs where
    the network names no other. Readouts, which learn none, are then lif.

    Raises :class:`TridentError`, naming the node, for a neuron that cannot learn a leak.
    """

    def own(node: Node) -> Node:
        if isinstance(node, Readout) and node.neuron is None and settings.neuron in LEARNING:
            return replace(node, neuron="lif")
        if not isinstance(node, Neuron) or (node.neuron or settings.neuron) not in LEARNING:
            return node
        decays = settings.decay_input if settings.neuron == (node.neuron or settings.neuron) else None
        return replace(
            node, neuron=node.neuron or settings.neuron, leak=settings.leak if node.leak is None else node.leak,
            decay_input=decays if node.decay_input is None else node.decay_input,
        )

    return replace(network, nodes=tuple(map(own, network.nodes)))
