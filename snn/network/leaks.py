"""Which neurons learn their leaks or thresholds, where a run says it and not the network."""

from dataclasses import replace

from trident.hw.isa.charges import LEARNING
from trident.snn.network.network import Network
from trident.snn.network.nodes import Neuron, Node, Readout
from trident.snn.neuron_settings import NeuronSettings


def with_leaks(network: Network, settings: NeuronSettings) -> Network:
    """The network whose neurons have the leaks or thresholds that the run's ``settings`` let them learn, and begin with
    theirs where the network names no other. Readouts, which learn none, are then lif.

    Raises :class:`TridentError`, naming the node, for a neuron that cannot learn them.
    """

    def own(node: Node) -> Node:
        if isinstance(node, Readout) and node.neuron is None and settings.neuron in LEARNING:
            return replace(node, neuron="lif")
        if not isinstance(node, Neuron):
            return node
        if (node.neuron or settings.neuron) not in LEARNING:
            return _with_threshold(node, settings)
        decays = settings.decay_input if settings.neuron == (node.neuron or settings.neuron) else None
        return replace(
            node, neuron=node.neuron or settings.neuron, leak=settings.leak if node.leak is None else node.leak,
            decay_input=decays if node.decay_input is None else node.decay_input,
        )

    return replace(network, nodes=tuple(map(own, network.nodes)))


def _with_threshold(node: Neuron, settings: NeuronSettings) -> Neuron:
    how = node.learn_threshold or settings.learn_threshold
    if how == "none":
        return node
    names = ("threshold", "v_reset")
    begins = {name: getattr(settings if getattr(node, name) is None else node, name) for name in names}
    if (node.reset or settings.reset) != "hard":
        begins["v_reset"] = node.v_reset
    return replace(node, learn_threshold=how, **begins)
