"""The network as a graph: every node with its shape, its parameters and where it runs."""

from dataclasses import dataclass, fields
from io import BytesIO, StringIO
from math import prod

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from trident.host.compile.placement import Placement
from trident.host.report.report import INK, STYLE
from trident.snn.network.kernel import pair_text
from trident.snn.network.network import Network
from trident.snn.network.nodes import INPUT, Node
from trident.snn.network.partition import Partition

ROW = 0.27  # inches
COLUMNS = ("node", "what it is", "output", "parameters", "runs on")
WIDTHS = (1.0, 2.75, 1.0, 1.0, 2.4)  # inches
PALE = "#C9D4DE"
RARE = ("dilation", "groups")  # fields that are said where they are not what nearly all nodes have


@dataclass(frozen=True)
class Row:
    """One node in words: a cell for each of :data:`COLUMNS`."""

    node: str
    what: str
    output: str
    parameters: str
    where: str


def graph_rows(network: Network, partition: Partition, placement: Placement) -> list[Row]:
    """Every node in the order of computation, the samples first."""
    where: dict[str, str] = {}
    for layer in network.layers:
        cores = _cores(network, partition, placement, layer.number)
        where |= {layer.neuron: cores} | {part.node: cores for part in layer.parts}
    rows = [Row(INPUT, "samples", _shape(network.in_shape), "", "host")]
    for node in network.nodes:
        if node.kind in ("norm", "pool", "add"):  # on the cores whose sums or spikes it takes
            where[node.name] = next(where[edge.node] for edge in node.inputs if edge.node in where)
        shape = network.shapes[node.inputs[0].node]
        parameters = sum(map(prod, node.tensors(shape).values()))
        rows.append(Row(
            node.name, _what(node), _shape(network.shapes[node.name]), f"{parameters:,}" if parameters else "",
            where.get(node.name, ""),
        ))  # fmt: skip
    return rows


def graph_svg(network: Network, partition: Partition, placement: Placement) -> str:
    """The graph as an SVG element. The same input gives the same bytes."""
    text = StringIO()
    _draw(network, partition, placement, text, "svg", metadata={"Date": None, "Creator": None})
    document = text.getvalue()
    return document[document.index("<svg") :]


def graph_png(network: Network, partition: Partition, placement: Placement) -> bytes:
    """The same drawing as a PNG file."""
    data = BytesIO()
    _draw(network, partition, placement, data, "png", dpi=150)
    return data.getvalue()


def _cores(network: Network, partition: Partition, placement: Placement, layer: int) -> str:
    """The cores of the mesh that a layer is on."""
    members = [member for member, *_ in partition.slices(layer, network)]
    cores = [placement[r * partition.members + member] for r in range(partition.replicas) for member in members]
    shown = ", ".join(map(str, cores[:8])) + (f" and {len(cores) - 8} more" if len(cores) > 8 else "")
    return f"core{'s' * (len(cores) > 1)} {shown}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) if shape[:2] != (1, 1) else str(shape[2])


def _what(node: Node) -> str:
    """Its kind and what sets it apart."""
    values = {
        field.name: getattr(node, field.name)
        for field in fields(node) if field.name not in ("name", "inputs", "channels", "outputs")
        and not ((isinstance(field.default, bool) or field.name in RARE) and getattr(node, field.name) == field.default)
    }  # fmt: skip
    values = {name: pair_text(value) if isinstance(value, tuple) else value for name, value in values.items()}
    words = [
        name if value is True else f"no {name}" if value is False else value if name == node.kind else f"{name} {value}"
        for name, value in values.items() if value is not None
    ]  # fmt: skip
    return " ".join([node.kind, ", ".join(words)]).strip()


def _draw(network: Network, partition: Partition, placement: Placement, file, kind: str, **options):
    rows = graph_rows(network, partition, placement)
    place = {row.node: n for n, row in enumerate(rows)}
    arcs = [
        (place[edge.node], place[node.name], edge.delay)
        for node in network.nodes for edge in node.inputs if place[node.name] - place[edge.node] != 1 or edge.delay
    ]  # fmt: skip
    left = 0.3 + 0.16 * len(arcs)
    with matplotlib.rc_context(STYLE):
        figure = Figure((left + sum(WIDTHS), ROW * (len(rows) + 1) + 0.1))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(-left, sum(WIDTHS))
        axes.set_ylim(len(rows) * ROW + 0.1 - ROW / 2, -1.5 * ROW)
        axes.axis("off")
        for n, row in enumerate(rows):
            y = n * ROW
            if n and any(edge.node == rows[n - 1].node and not edge.delay for edge in network.node(row.node).inputs):
                axes.plot([0, 0], [y - ROW, y], color=INK, linewidth=1.2, zorder=1)
            axes.plot([0], [y], marker="o", markersize=6, color=INK, zorder=2)
            _cells(axes, y, (row.node, row.what, row.output, row.parameters, row.where))
        for number, (begin, end, delay) in enumerate(sorted(arcs, key=lambda arc: abs(arc[1] - arc[0]))):
            _arc(axes, begin * ROW, end * ROW, 0.22 + 0.16 * number, dashed=bool(delay))
        _cells(axes, -ROW, COLUMNS, weight="bold")
        axes.plot([0, sum(WIDTHS)], [-ROW / 2, -ROW / 2], color=PALE, linewidth=1)
        figure.savefig(file, format=kind, **options)


def _cells(axes, y: float, cells: tuple[str, ...], **style):
    x = 0.15
    for name, cell, width in zip(COLUMNS, cells, WIDTHS, strict=True):
        right = name == "parameters"
        axes.text(x + (width - 0.3) * right, y, cell, ha="right" if right else "left", va="center", fontsize=8.5,
                  color=INK, **style)  # fmt: skip
        x += width


def _arc(axes, begin: float, end: float, depth: float, dashed: bool):
    """An edge past other nodes, on their left."""
    path = Path([(0, begin), (-depth, begin), (-depth, end), (0, end)], [Path.MOVETO, *[Path.LINETO] * 3])
    axes.add_patch(PathPatch(path, fill=False, edgecolor=INK, linewidth=1.1, linestyle="--" if dashed else "-"))
