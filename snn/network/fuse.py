"""The compiler's first pass: from the nodes of a network to its layers."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trident.hw.errors import TridentError
from trident.hw.isa.dropout import POWERS
from trident.hw.isa.job import JOB
from trident.hw.isa.planes import PLACES
from trident.snn.network.adds import addends, adders_of, check_adds, gates, is_sums, loss_gate, ones, only_added
from trident.snn.network.conv import Conv
from trident.snn.network.layers import Layer, Read
from trident.snn.network.nodes import (
    EPSILON,
    INPUT,
    Add,
    Dropout,
    Flatten,
    Linear,
    Neuron,
    Node,
    Norm,
    Pool,
    Readout,
)
from trident.snn.network.windows import Windows

if TYPE_CHECKING:
    from trident.snn.network.network import Network

LARGEST_STRIDE = (1 << JOB.shape()["words"].width) - 1  # of windows, in pixels


def fuse(network: "Network") -> tuple[Layer, ...]:
    """The layers of a network, in the order of computation.

    Raises :class:`TridentError` for a node that no core computes; the sentence says what it would need.
    """
    for node, edge in [(own, edge) for own in network.nodes for edge in own.inputs if edge.delay]:
        if not isinstance(node, Conv | Linear | Flatten):
            raise TridentError(f"{node} reads {edge}: only conv and linear nodes read what was timesteps ago")
        if network.planes and network.planes.still:
            raise TridentError(f"{node} reads {edge}, so real values must be given for every timestep, as frames")
    if late := next((str(edge) for node in network.nodes for edge in node.inputs if edge.delay), None):
        for node in network.nodes:
            if isinstance(node, Conv) and node.groups > 1:
                raise TridentError(f"{node} has groups, which no core has where {late} is read")
    layers: list[Layer] = []
    windows: list[Node] = []  # between sums and neurons
    fired = {INPUT: Read.all(None, network.planes)}  # by node, the spikes that its output adds up
    sums: dict[str, int] = {}  # by node, the layer whose sums are its output
    chained: list[Node] = []  # norms and pools before an add that alone takes what they give
    for node in network.nodes:
        chain = _chain(network, node) if isinstance(node, Conv | Linear) else [node]
        own = isinstance(node, Conv | Linear) and not only_added(network, chain[-1])
        chained += [] if own else chain[1:]
        if own or (isinstance(node, Add) and is_sums(network, node.name)):
            for layer, window, end in _layers(network, node, len(layers), fired, sums):
                layers.append(layer)
                windows += [window] if window else []
                sums[end.name] = layer.number
            if not layers[-1].readout and layers[-1].fires:
                pool = _pool(network, layers[-1])
                if pool:
                    sizes = {layer.pool for layer in layers} - {1} or {pool.size}
                    layers[-1] = _pooled(layers[-1], pool, pool.size in sizes)
                name = pool.name if pool else layers[-1].neuron
                if dropout := _dropout(network, network.node(name), layers[-1]):
                    layers[-1], name = replace(layers[-1], drop=float(dropout.p)), dropout.name
                fired[name] = Read.all(len(layers) - 1, layers[-1].out_planes, layers[-1].drop)
        elif isinstance(node, Add) and node.method:
            layers += gates(network, node, len(layers), fired)
            fired[node.name] = Read.all(layers[-2].number)
        elif isinstance(node, Add):
            fired[node.name] = _added(network, node, fired)
        elif node in windows or isinstance(node, Conv | Linear) or node in chained:
            continue
        elif isinstance(node, Dropout):
            if node.name not in fired:
                raise TridentError(
                    f"{node} must drop the spikes of a neuron node or of its pool, not the output of {node.inputs[0]}"
                )
        elif isinstance(node, Pool) and _is_whole(network, node):
            fired[node.name] = _mean(network, node, fired)
        elif isinstance(node, Pool) and node.inputs[0].node not in (layer.neuron for layer in layers):
            raise TridentError(f"{node} must join the spikes of a neuron node, not read {node.inputs[0]}")
        elif isinstance(node, Neuron | Readout) and node.name not in (layer.neuron for layer in layers):
            raise TridentError(f"{node} must take the sums of a conv, linear or norm node, not {node.inputs[0]}")
        elif isinstance(node, Norm) and node not in (layer.norm for layer in layers):
            raise TridentError(f"{node} must take the sums of a conv or linear node, not {node.inputs[0]}")
    layers = check_adds(network, layers)
    last = layers[-1]
    if network.output != last.neuron or last.rewrites:
        raise TridentError(f"the network's output must be the neurons behind its last layer, not {network.output!r}")
    if last.window and network.voters > 1:
        raise TridentError(f"{network.node(last.neuron)} has voters, so it cannot take the largest sums of windows")
    if last.line > 1:
        raise TridentError(f"{network.node(last.neuron)} takes the largest sums of outputs, so it cannot be the last")
    if last.recurrent:
        layers[-1], last = _without_penalty(network, last), loss_gate(last)
        layers.append(last)
    branches = tuple(replace(branch, voters=network.voters) for branch in last.branches)
    return *layers[:-1], replace(last, last=True, voters=network.voters, branches=branches)


def _without_penalty(network: "Network", layer: Layer) -> Layer:
    """The output's neurons, whose spikes have no penalty."""
    own = dict(layer.changes)
    if own.get("spike_penalty"):
        node = network.node(layer.neuron)
        raise TridentError(f"{node}: a spike_penalty is of neurons that are not the network's output")
    return replace(layer, changes=tuple((own | {"spike_penalty": 0.0}).items()))


def _added(network: "Network", node: Add, fired: dict[str, tuple[Read, ...]]) -> tuple[Read, ...]:
    """What an add node sums up: the spikes of its inputs, one after another."""
    for edge in node.inputs:
        if edge.node not in fired:
            raise TridentError(
                f"{node} must add spikes, those of neurons, or sums of conv and linear nodes, not the output of "
                f"{network.node(edge.node)}"
            )
        if edge.node == INPUT and network.planes and network.planes.still:
            raise TridentError(f"{node} adds real values that stay the same over time to spikes, which no core does")
    return tuple(read for edge in node.inputs for read in fired[edge.node])


def _is_whole(network: "Network", node: Node) -> bool:
    """Whether a node takes the mean of all pixels."""
    y, x, _ = network.shapes[node.inputs[0].node]
    return isinstance(node, Pool) and node.method == "average" and y == x == node.size > 1 and not node.padding


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


def _layers(
    network: "Network", node: Node, number: int, fired: dict[str, tuple[Read, ...]], sums: dict[str, int]
) -> list[tuple[Layer, Pool | None, Node]]:
    """The layers of the sums of a conv or linear node, or of those that an add node alone takes, from this number on:
    each with the windows of its sums and the node that these are the output of. The last has the neurons."""
    if not isinstance(node, Add):
        assert isinstance(node, Conv | Linear)
        return [_layer(network, node, number, fired)]
    found = addends(network, node, fired, sums)
    layers: list[tuple[Layer, Pool | None, Node]] = []
    parts = [*found.own, *([None] if found.reads else [])]
    for base in found.normed if parts else found.normed[:-1]:
        layers.append(_layer(network, base, number + len(layers), fired))
    if parts:
        at = number + len(layers)
        neuron = _neuron(network, node)
        made = [_part(network, own, at, neuron or node, fired) if own else ones(network, node, at, found.reads)
                for own in parts]  # fmt: skip
        for part in made:
            if part.planes:
                raise TridentError(f"{node} adds sums of real values that stay the same over time, which no core does")
        first, *branches = sorted(made, key=lambda part: at in part.sources)  # its own spikes last
        layer, window = replace(first, branches=tuple(branches)), None
    else:
        layer, window, _ = _layer(network, found.normed[-1], number + len(layers), fired)
        neuron = _neuron(network, node)
    added = (*found.numbers, *(other.number for other, *_ in layers))
    return [*layers, (replace(layer, adds=added, **_behind_sums(neuron, node)), window, node)]


def _layer(
    network: "Network", node: Conv | Linear, number: int, fired: dict[str, tuple[Read, ...]]
) -> tuple[Layer, Pool | None, Node]:
    """The layer of the sums of a conv or linear node, the windows of them, and the node that these are the output
    of."""
    norm, window = _behind(network, node)
    end = window or norm or node
    neuron = _neuron(network, end)
    layer = replace(_part(network, node, number, neuron or end, fired), norm=norm, **_behind_sums(neuron, end))
    return replace(layer, window=_windows(network, node, window)), window, end


def _behind_sums(neuron: Neuron | Readout | None, end: Node) -> dict[str, Any]:
    """What a layer says of the neurons that take its sums, the output of the node ``end``; None: there are none."""
    if neuron is None:
        return {"neuron": end.name, "fires": False}
    return {"neuron": neuron.name, "changes": neuron.changes, "fires": True}


def _neuron(network: "Network", end: Node) -> Neuron | Readout | None:
    """The neurons that take the sums which a node gives; None: only adds take them."""
    adds = adders_of(network, end)
    others = [reader for reader in network.readers[end.name] if reader not in adds]
    if adds and not others:
        return None
    if adds and len(others) == 1 and isinstance(others[0], Neuron | Readout):
        return others[0]
    if adds:
        found = ", ".join(map(str, others))
        raise TridentError(f"{end} must be read by one neuron or readout node, and by add nodes, not by {found}")
    neuron = _only_reader(network, end, "neuron", "readout")
    assert isinstance(neuron, Neuron | Readout)
    return neuron


def _chain(network: "Network", node: Conv | Linear) -> list[Node]:
    """The nodes that the sums of a conv or linear node pass: itself, perhaps its norm and its pool."""
    chain: list[Node] = [node]
    for kind in (Norm, Pool):
        readers = network.readers[chain[-1].name]
        if len(readers) == 1 and isinstance(readers[0], kind):
            chain.append(readers[0])
    return chain


def _part(network: "Network", node: Node, number: int, neuron: Node, fired: dict[str, tuple[Read, ...]]) -> Layer:
    """The convolution of a conv or linear node, with nothing behind it, of the layer with this number and neuron."""
    assert isinstance(node, Conv | Linear)
    (edge,), delay = node.inputs, node.inputs[0].delay
    image = network.shapes[edge.node]
    if edge.node != INPUT and isinstance(flatten := network.node(edge.node), Flatten):
        _only_reader(network, flatten, "linear")
        edge = flatten.inputs[0]
        delay += edge.delay
        image = network.shapes[edge.node]
    reads = fired.get(edge.node)
    if delay and isinstance(neuron, Neuron) and edge.node == neuron.name:
        reads = Read.all(number)
    if reads is None and delay and isinstance(network.node(edge.node), Neuron):
        raise TridentError(f"{node} reads {edge}, the spikes of a later layer, which follows when this one has ended")
    if reads is None:
        found = network.node(edge.node)
        raise TridentError(f"{node} must read spikes, those of neurons or of the samples, not {found}")
    if len({read.mean for read in reads}) > 1 or (reads[0].mean > 1 and isinstance(node, Conv)):
        raise TridentError(f"{node} must be linear to read the mean of all pixels, which is added to other means alone")
    names = number, node.name, neuron.name, tuple(replace(read, delay=delay) for read in reads)
    if isinstance(node, Linear):
        layer = Layer(*names, "linear", image, node.outputs, bias=node.bias)
    else:
        layer = Layer(*names, "conv", image, node.channels, node.geometry, node.bias, node.groups)
    return _standardised(layer, node) if node.standardise else layer


def _behind(network: "Network", node: Conv | Linear) -> tuple[Norm | None, Pool | None]:
    """The norm that takes a node's sums, and the pool that takes the largest of windows before neurons do, as far as
    there are such. Raises :class:`TridentError`, naming the node, for a pool that no core has."""
    if adders_of(network, node):
        return None, None
    reader = _only_reader(network, node, "neuron", "readout", "norm", "pool")
    norm = reader if isinstance(reader, Norm) else None
    if norm:
        if adders_of(network, norm):
            return norm, None
        reader = _only_reader(network, norm, "neuron", "readout", "pool")
    if not isinstance(reader, Pool):
        return norm, None
    if reader.method != "max":
        raise TridentError(f"{reader} must take the largest sum of windows, to be between sums and neurons")
    _check_stride(reader)
    return norm, reader


def _windows(network: "Network", node: Conv | Linear, pool: Pool | None) -> Windows | None:
    """The windows of sums that a pool takes the largest of, those of a linear node consecutive outputs."""
    if pool is None or pool.size == pool.stride == 1:
        return None
    outputs = network.shapes[node.name][2]
    if network.shapes[pool.name][2] == outputs:
        return pool.windows
    if isinstance(node, Conv) or pool.stride != pool.size or outputs % pool.size:
        raise TridentError(
            f"{pool} takes the largest of {pool.size} of the {outputs} outputs of {node}: a core takes that of "
            "consecutive outputs of a linear node which divide them"
        )
    return replace(pool.windows, line=True)


def _check_stride(pool: Pool):
    if pool.stride > LARGEST_STRIDE:
        raise TridentError(f"{pool} has windows every {pool.stride} pixels: a core has them every {LARGEST_STRIDE}")


def _standardised(layer: Layer, node: Conv | Linear) -> Layer:
    """A layer with standardised weights."""
    if layer.held != 1:
        raise TridentError(
            f"{node} reads what a dropout leaves, so its standardised weights would count for {layer.held:.4g} times "
            f"as much: a core has that for a p of {', '.join(map(str, POWERS))}"
        )
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
    if layer.window:
        raise TridentError(f"{pool} joins spikes of {layer.neuron!r}, which takes the largest sums of windows already")
    if network.shapes[pool.name][2] != layer.out_shape[2]:
        raise TridentError(f"{pool} joins spikes of a vector: a core takes the largest of sums, before the neurons")
    if pool.method == "average" and pool.size & (pool.size - 1):
        raise TridentError(f"{pool} takes the mean of {pool.size**2} pixels: those of a core are a power of two")
    if pool.method != "max" and not pool.windows.divide(layer.out_shape):
        y, x, _ = layer.out_shape
        raise TridentError(
            f"{pool} takes the {pool.method} of windows of {pool.windows}, which do not divide an image of {y}x{x}: "
            "a core takes the maximum of such"
        )
    _check_stride(pool)
    return pool


def _pooled(layer: Layer, pool: Pool, in_place: bool) -> Layer:
    """A layer with a pool behind it: ``in_place`` if its windows divide the image, see :attr:`Layer.pool`."""
    if pool.method == "max" and not (in_place and pool.windows.divide(layer.out_shape)):
        return replace(layer, join=pool.windows)
    return replace(layer, pool=pool.size, method=pool.method)


def _dropout(network: "Network", node: Node, layer: Layer) -> Dropout | None:
    """The dropout node that drops a layer's spikes, which are those of ``node``, if there is one.

    Raises :class:`TridentError`, naming the node, for one that no core has.
    """
    found = next((reader for reader in network.readers[node.name] if isinstance(reader, Dropout)), None)
    if not found:
        return None
    _only_reader(network, node, "dropout")
    if layer.join:
        raise TridentError(
            f"{found} cannot drop the largest of windows of {layer.join}, only of such as divide an image"
        )
    if layer.out_planes:
        raise TridentError(f"{found} must drop spikes or the largest of windows, not the {layer.method} of {node}")
    if network.output != found.name:
        _only_reader(network, found, "conv", "linear", "flatten")
    return found


def _only_reader(network: "Network", node: Node, *kinds: str) -> Node:
    """The one node that reads ``node``, which must be of one of these kinds."""
    readers = network.readers[node.name]
    if len(readers) != 1 or readers[0].kind not in kinds:
        found = ", ".join(map(str, readers)) or "nobody"
        raise TridentError(f"{node} must be read by one {' or '.join(kinds)} node alone, not by {found}")
    return readers[0]
