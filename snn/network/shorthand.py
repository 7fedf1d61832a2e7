"""The shorthand for a chain of layers: ``64-128-10`` or ``8x8x1-16c3s2p1-10``."""

import re
from collections.abc import Sequence
from math import prod
from typing import Any

from trident.hw.errors import TridentError
from trident.hw.isa.neurons import READOUTS
from trident.snn.network.conv import Conv
from trident.snn.network.defaults import RECIPES
from trident.snn.network.kernel import Pair
from trident.snn.network.network import Network
from trident.snn.network.nodes import (
    INPUT,
    Add,
    Dropout,
    Edge,
    Flatten,
    Linear,
    Neuron,
    Node,
    Pool,
    Readout,
    Shape,
)
from trident.snn.network.norms import behind_norms, standardised
from trident.snn.network.windows import Windows

_N = "[0-9]{1,9}"
_WINDOWS = f"({_N})(?:s({_N}))?(?:p({_N}))?"  # size, stride, padding
_SIDES = f"({_N}(?:x{_N})?)"  # of both axes, or y and x
_CONV = re.compile(f"(?:({_N})c|dw){_SIDES}(?:s{_SIDES})?(?:p{_SIDES})?(?:d{_SIDES})?(?:g({_N}))?(?:m{_WINDOWS})?")
_IMAGE = re.compile(f"({_N})x({_N})x({_N})")
_NUMBER = re.compile(_N)
_LINEAR = re.compile(f"({_N})(?:m({_N}))?(?:v({_N}))?(?:r({'|'.join(READOUTS)})?)?")
_RECURRENT = re.compile(f"({_N})rec")
_POOL = re.compile(f"(mp|ap){_WINDOWS}|gap")
_DROP = re.compile(r"drop([0-9]+(?:\.[0-9]+)?)?")
_METHODS = {"mp": "max", "ap": "average", None: "average"}
_BLOCK = re.compile(f"(sew|res|ms)({_N})(?:s({_N}))?(and|iand)?")
_NORMED = re.compile("(.+?)(bn|ws)(m.+)?")
_LONGEST = 1000  # characters


def read(text: str, bias: bool = True) -> Network:
    """Read ``INPUT-LAYER-...``, or a name of :data:`RECIPES`: INPUT is ``64`` or ``8x8x1`` (y, x, channels); a layer is
    ``128`` (linear) or ``16c3s2p1`` (16 channels, kernel 3, stride 2, padding 1; without them stride 1 and padding
    kernel // 2), ``16c5x3d2`` has a kernel of 5 x 3 (y, x) and dilation 2, ``16c3g4`` 4 groups of channels, and ``dw3``
    is a depthwise convolution, with a group for each channel that it reads. Of ``16c3m2`` neurons take the largest sum
    of every 2 x 2 pixels, of ``16c3m3s2p1`` those of windows of 3 x 3 pixels, stride 2 and padding 1, of ``128m2``
    those of every 2 outputs: the node ``windowN``. The last may be a readout: ``10r`` (the mean of its potentials),
    ``10rlast`` or ``10rmax``; or neurons that vote: of ``100v10`` every 10 neurons are one of 10 classes. ``64rec`` is
    a recurrent layer, see :func:`_recurrent`. ``mp2`` behind a layer joins the spikes of every 2 x 2 pixels,
    ``mp3s2p1`` those of such windows, ``ap2`` takes their mean and ``gap`` that of all pixels of a square image: the
    node ``poolN``. ``drop0.5`` behind a layer, or behind ``mp2``, drops half of it in training: the node ``dropN``.
    ``16c3bn``, ``128ws`` or ``res16bn`` have a norm, see :func:`_normed`. ``sew16s2``, ``res16s2`` and ``ms16s2`` are
    residual blocks, see :func:`_block`.

    Layer n becomes the nodes ``convN`` or ``linearN`` and ``neuronN``, with ``flattenN`` before a linear layer that
    reads an image. Raises :class:`TridentError` for what it cannot read and for layers whose shapes do not meet.
    """
    if text.strip() in RECIPES:
        text = RECIPES[text.strip()].net
    if len(text) > _LONGEST:
        raise TridentError(f"a network of {len(text):,} characters is no shorthand: write it into a network file")
    first, *rest = text.strip().split("-")
    if not rest:
        raise TridentError(f"network {text!r} has no layer: write an input and at least one layer, as in 64-128-10")
    if image := _IMAGE.fullmatch(first):
        y, x, channels = map(int, image.groups())
        in_shape = (y, x, channels)
    elif _NUMBER.fullmatch(first):
        in_shape = (1, 1, int(first))
    else:
        raise TridentError(f"network {text!r}: input {first!r} is neither a number (64) nor an image (8x8x1)")
    if min(in_shape) < 1:
        raise TridentError(f"network {text!r}: input {first!r} has a size of 0")
    nodes: list[Node] = []
    shape, source = in_shape, INPUT
    for number, part in enumerate(rest, 1):
        layer = _normed(text, part, shape, source, number, bias, nodes)
        nodes += layer
        shapes, last = {source: shape}, shape
        for node in layer:  # what a recurrent node reads is like what the node before it gives
            last = shapes[node.name] = node.out_shape(*(shapes.get(edge.node, last) for edge in node.inputs))
        source = layer[-1].name
        shape = shapes[source]
    if not _LINEAR.fullmatch(_RECURRENT.sub(r"\1", _NORMED.sub(r"\1\3", rest[-1]))):
        raise TridentError(f"network {text!r} must end with a linear layer, one output per class, not {rest[-1]!r}")
    return Network(in_shape, tuple(nodes))


def _normed(
    text: str, part: str, shape: Shape, source: str, number: int, bias: bool, before: Sequence[Node]
) -> list[Node]:
    """As :func:`_layer`, of a layer that may say which norm it has: ``16c3bn`` a batch norm behind each of its
    convolutions or its linear node, before the windows of ``16c3bnm2``, ``16c3ws`` standardised weights."""
    normed = _NORMED.fullmatch(part)
    if not normed:
        return _layer(text, part, shape, source, number, bias, before)
    plain, norm = normed.group(1) + (normed.group(3) or ""), normed.group(2)
    nodes = _layer(text, plain, shape, source, number, bias, before)
    names = [node.name for node in nodes if isinstance(node, Conv | Linear)]
    if not names:
        raise TridentError(f"network {text!r}: {part!r} has no weights, so it cannot have the norm {norm}")
    if norm == "bn" and _RECURRENT.fullmatch(plain):
        raise TridentError(f"network {text!r}: the norm bn is of all timesteps at once, and {part!r} of one by one")
    return list(standardised(nodes, names) if norm == "ws" else behind_norms(nodes, dict.fromkeys(names, 1.0)))


def _layer(
    text: str, part: str, shape: Shape, source: str, number: int, bias: bool, before: Sequence[Node]
) -> list[Node]:
    """The nodes of one layer that reads ``source``, one of those ``before`` it."""
    read = (Edge(source),)
    if vector := _LINEAR.fullmatch(part):
        outputs = int(vector.group(1))
        if outputs < 1:
            raise TridentError(f"network {text!r}: a layer needs at least 1 output, not {outputs}")
        flat: list[Node] = []
        if shape != (1, 1, prod(shape)):
            flat = [Flatten(f"flatten{number}", read)]
            read = (Edge(flat[0].name),)
        sums: list[Node] = [*flat, Linear(f"linear{number}", read, outputs=outputs, bias=bias)]
        if vector.group(2) is not None:
            windows = _windows(vector.group(2), None, None)
            if windows.size < 2:
                raise TridentError(f"network {text!r}: layer {part!r} needs windows of 2 outputs or more")
            sums.append(_pool(f"window{number}", (Edge(sums[-1].name),), windows))
        reads = (Edge(sums[-1].name),)
        voters = int(vector.group(3)) if vector.group(3) else None
        if "r" not in part:
            return [*sums, Neuron(f"neuron{number}", reads, voters=voters)]
        if voters is not None:
            raise TridentError(f"network {text!r}: {part!r} is a readout, which has no spikes to vote with")
        return [*sums, Readout(f"readout{number}", reads, readout=vector.group(4) or "mean")]
    if recurrent := _RECURRENT.fullmatch(part):
        return _recurrent(_layer(text, recurrent.group(1), shape, source, number, bias, before), number)
    if pool := _POOL.fullmatch(part):
        y, x, _ = shape
        if part == "gap" and y != x:
            raise TridentError(f"network {text!r}: 'gap' takes the mean of square images, not of {y}x{x} pixels")
        windows = Windows(y, y) if part == "gap" else _windows(*pool.groups()[1:])
        follows = ("neuron", "add") if part == "gap" else ("neuron",)
        if not source.startswith(follows) or windows.size < 2 or windows.stride < 1:
            raise TridentError(
                f"network {text!r}: {part!r} must follow a layer and have a window of 2 pixels or more, every 1 or more"
            )
        return [_pool(f"pool{number}", read, windows, _METHODS[pool.group(1)])]
    if drop := _DROP.fullmatch(part):
        if not source.startswith(("neuron", "pool")):
            raise TridentError(f"network {text!r}: {part!r} must follow a layer or its pooling")
        return [Dropout(f"drop{number}", read, p=float(drop.group(1) or 0.5))]
    if block := _BLOCK.fullmatch(part):
        sizes = int(block.group(2)), int(block.group(3) or 1)
        return _block(text, part, block.group(1), shape, source, number, bias, *sizes, before, block.group(4))
    conv = _CONV.fullmatch(part)
    if not conv or (conv.group(6) and not conv.group(1)):  # a depthwise one has as many groups as channels
        raise TridentError(
            f"network {text!r}: layer {part!r} is no number of outputs (128), recurrent layer (128rec), convolution "
            f"(16c3s2p1, dw3), pooling (mp2), dropout (drop0.5) or residual block (sew16s2, res16, ms16)"
        )
    names = ("kernel", "stride", "padding", "dilation")
    given: dict[str, Any] = {n: _sides(own) for n, own in zip(names, conv.groups()[1:5], strict=True) if own}
    try:
        channels, groups = (int(conv.group(1)), int(conv.group(6) or 1)) if conv.group(1) else (shape[2], shape[2])
        node: Node = Conv(f"conv{number}", read, channels=channels, groups=groups, bias=bias, **given)
        node.out_shape(shape)
    except TridentError as fault:
        raise TridentError(f"network {text!r}, layer {part!r}: {fault}") from None
    sums = [node]
    if conv.group(7) is not None:
        windows = _windows(*conv.groups()[6:])
        if windows.size < 2 or windows.stride < 1:
            raise TridentError(f"network {text!r}: layer {part!r} needs windows of 2 pixels or more, every 1 or more")
        sums.append(_pool(f"window{number}", (Edge(node.name),), windows))
    return [*sums, Neuron(f"neuron{number}", (Edge(sums[-1].name),))]


def _sides(text: str) -> int | Pair:
    """``3`` or ``5x3``."""
    y, _, x = text.partition("x")
    return (int(y), int(x)) if x else int(y)


def _windows(size: str, stride: str | None, padding: str | None) -> Windows:
    return Windows(int(size), int(stride or size), int(padding or 0))


def _pool(name: str, read: tuple[Edge, ...], windows: Windows, method: str = "max") -> Pool:
    return Pool(
        name, read, method=method, size=windows.size, stride=windows.stride, padding=windows.padding
    )  # fmt: skip


def _recurrent(layer: list[Node], number: int) -> list[Node]:
    """A linear layer whose neurons also take the spikes that all of them fired a timestep before, through
    ``recurrentN``, weights of its own without biases; ``addN`` adds both sums."""
    *before, linear, neuron = layer
    assert isinstance(linear, Linear)
    again = Linear(f"recurrent{number}", (Edge(neuron.name, 1),), outputs=linear.outputs, bias=False)
    add = Add(f"add{number}", (Edge(linear.name), Edge(again.name)))
    return [*before, linear, again, add, Neuron(neuron.name, (Edge(add.name),))]


def _block(
    text: str, part: str, kind: str, shape: Shape, source: str, number: int, bias: bool, channels: int, stride: int,
    before: Sequence[Node], method: str | None,
) -> list[Node]:  # fmt: skip
    """A residual block: two convolutions of kernel 3, ``convNa`` of that stride, with neurons, and ``convNb``; where
    the shape changes, a convolution of kernel 1 and that stride, ``convNs``, reads what the block reads.

    Of ``sew`` (Fang et al., arXiv 2102.04159) ``addN`` adds the spikes of ``convNb`` to what the block reads or to the
    spikes of ``convNs``, or joins them by ``and`` or ``iand``, which inverts those of ``convNb``. Of ``res``, as in
    spiking ResNets with the structure of plain ones, it adds the sums of ``convNb`` to those spikes or to the sums of
    ``convNs``, and ``neuronN`` takes the result. Of ``ms`` (Hu et al., arXiv 2112.08954) likewise, but to the sums that
    the neurons before the block take.
    """
    if channels < 1 or stride not in (1, 2):
        raise TridentError(f"network {text!r}: block {part!r} needs at least 1 channel and a stride of 1 or 2")
    if source == INPUT:
        raise TridentError(f"network {text!r}: block {part!r} must follow a layer, whose spikes it reads")

    if method and kind != "sew":
        raise TridentError(f"network {text!r}: block {part!r} adds sums, which {method} does not join, only spikes")

    def conv(suffix: str, read: str, kernel: int, stride: int) -> Conv:
        return Conv(
            f"conv{number}{suffix}", (Edge(read),), channels=channels, kernel=kernel, stride=stride,
            padding=kernel // 2, bias=bias,
        )  # fmt: skip

    def neuron(suffix: str, read: str) -> Neuron:
        return Neuron(f"neuron{number}{suffix}", (Edge(read),))

    first, second = conv("a", source, 3, stride), conv("b", f"neuron{number}a", 3, 1)
    nodes: list[Node] = [first, neuron("a", first.name), second]
    changes = stride > 1 or channels != shape[2]
    if changes:
        nodes.append(conv("s", source, 1, stride))
    shortcut = nodes[-1].name if changes else source
    if kind == "sew":
        nodes.append(neuron("b", second.name))
        if changes:
            nodes.append(neuron("s", shortcut))
            shortcut = nodes[-1].name
        both = Edge(f"neuron{number}b"), Edge(shortcut)
        return [*nodes, Add(f"add{number}", both[::-1] if method else both, method=method)]
    if kind == "ms" and not changes:
        found = next(node for node in before if node.name == source)
        if not isinstance(found, Neuron):
            raise TridentError(f"network {text!r}: block {part!r} must follow a layer, whose sums it adds")
        shortcut = found.inputs[0].node
    return [*nodes, Add(f"add{number}", (Edge(second.name), Edge(shortcut))), neuron("", f"add{number}")]
