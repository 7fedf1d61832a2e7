"""The floor plan: which slice of the network sits on which core of the mesh, and how loaded every link is."""

from io import BytesIO, StringIO

import matplotlib
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from trident.host.mapping.placement import Placement
from trident.host.mapping.traffic import Load
from trident.host.report.report import INK, STYLE
from trident.hw.isa.mesh import MeshConfig
from trident.hw.noc.topology import HOST
from trident.snn.network.network import Network
from trident.snn.network.partition import Partition

# Pale enough for black text; repeated when a network has more stages
COLOURS = ("#A6CEE3", "#FDD49E", "#B2DFA8", "#E7C6E0", "#F7E38B", "#C7CCE8", "#BFE3DA", "#F4B9A7", "#D9D2B6", "#D0D5DA")
EMPTY = "#F4F6F8"
LINKS = LinearSegmentedColormap.from_list("links", ["#C9D4DE", "#E69F00", "#B2182B"])
SIDE, PITCH = 1.0, 1.5  # of a core, and from one core to the next
HEADING = 0.45  # inches


def floorplan_svg(
    network: Network, partition: Partition, mesh: MeshConfig, placement: Placement, load: Load, title: str = ""
) -> str:
    """An SVG element of the mesh: on every core its replica, layers and channels; on every link its flits per sample as
    colour and width, the hottest one marked; the host west of core 0. The same input gives the same bytes."""
    text = StringIO()
    _draw(network, partition, mesh, placement, load, title, text, "svg", metadata={"Date": None, "Creator": None})
    document = text.getvalue()
    return document[document.index("<svg") :]


def floorplan_png(
    network: Network, partition: Partition, mesh: MeshConfig, placement: Placement, load: Load, title: str = ""
) -> bytes:
    """The same drawing as a PNG file."""
    data = BytesIO()
    _draw(network, partition, mesh, placement, load, title, data, "png", dpi=150)
    return data.getvalue()


def core_label(network: Network, partition: Partition, core: int) -> tuple[str, str, str]:
    """Replica, layers and channels of a logical core in a few characters each; "" where there is but one choice."""
    replica, number, slice_ = partition.locate(core)
    stage = partition.stages[number]
    first, last = stage.first + 1, stage.last + 1
    layers = f"layer {first}" if first == last else f"layers {first}–{last}"
    channels = f"ch {stage.cuts[slice_]}–{stage.cuts[slice_ + 1] - 1}" if stage.cores > 1 else ""
    return f"R{replica + 1}" if partition.replicas > 1 else "", layers, channels


def _draw(network, partition, mesh, placement, load, title, file, kind, **options):
    with matplotlib.rc_context(STYLE):
        left, right = -1.75, (mesh.width - 1) * PITCH + SIDE / 2 + 0.1
        top, bottom = -SIDE / 2 - 0.1, (mesh.height - 1) * PITCH + SIDE / 2 + 0.1
        scale = min(1.0, 10.0 / (right - left), 9.0 / (bottom - top))
        # Inches of the mesh, and with the heading above it and the scale beside it
        drawn = (right - left) * scale, (bottom - top) * scale
        size = max(drawn[0] + 0.95, 4.8), drawn[1] + HEADING
        figure = Figure(figsize=size)
        axes = figure.add_axes((0, 0, drawn[0] / size[0], drawn[1] / size[1]), xlim=(left, right), ylim=(bottom, top))
        axes.axis("off")
        _draw_cores(axes, network, partition, mesh, placement, scale)
        _draw_links(axes, mesh, load, scale)
        beside = (drawn[0] + 0.12) / size[0], 0.06 * drawn[1] / size[1], 0.16 / size[0], 0.88 * drawn[1] / size[1]
        _draw_legend(figure, figure.add_axes(beside), partition, mesh, load, title)
        figure.savefig(file, format=kind, **options)


def _centre(mesh: MeshConfig, core: int) -> tuple[float, float]:
    x, y = (-1, 0) if core == HOST else mesh.position(core)
    return x * PITCH + (0.15 if core == HOST else 0), y * PITCH


def _draw_cores(axes, network, partition, mesh, placement, scale):
    logical = {place: core for core, place in enumerate(placement)}
    style = "round,pad=0,rounding_size=0.08"
    for place in range(mesh.cores):
        x, y = _centre(mesh, place)
        core = logical.get(place)
        colour = EMPTY if core is None else COLOURS[partition.locate(core)[1] % len(COLOURS)]
        corner = (x - SIDE / 2, y - SIDE / 2)
        axes.add_patch(FancyBboxPatch(corner, SIDE, SIDE, boxstyle=style, fc=colour, ec="#5B6B7A", lw=0.8, zorder=3))
        axes.text(x - 0.43, y - 0.34, str(place), fontsize=6.5 * scale, color="#5B6B7A", va="center", zorder=4)
        if core is None:
            axes.text(x, y, "free", fontsize=8 * scale, color="#8896A4", ha="center", va="center", zorder=4)
            continue
        replica, layers, channels = core_label(network, partition, core)
        axes.text(x + 0.43, y - 0.34, replica, fontsize=8 * scale, ha="right", va="center", weight="bold", zorder=4)
        axes.text(x, y + (0.0 if channels else 0.08), layers, fontsize=9.5 * scale, ha="center", va="center", zorder=4)
        axes.text(x, y + 0.25, channels, fontsize=8 * scale, ha="center", va="center", zorder=4)
    x, y = _centre(mesh, HOST)
    axes.add_patch(Rectangle((x - 0.38, y - 0.22), 0.76, 0.44, fc="#FFFFFF", ec=INK, lw=1.1, zorder=3))
    axes.text(x, y, "host", fontsize=9.5 * scale, ha="center", va="center", zorder=4)


def _draw_links(axes, mesh, load, scale):
    peak, hottest = load.peak, load.hottest
    links = {(core, HOST): 0.0 for core in (0,)} | {(HOST, 0): 0.0}
    for core in range(mesh.cores):
        x, y = mesh.position(core)
        if x + 1 < mesh.width:
            links |= {(core, core + 1): 0.0, (core + 1, core): 0.0}
        if y + 1 < mesh.height:
            links |= {(core, core + mesh.width): 0.0, (core + mesh.width, core): 0.0}
    for (source, target), flits in sorted((links | load.links).items()):
        share = flits / peak if peak else 0.0
        (x0, y0), (x1, y1) = _centre(mesh, source), _centre(mesh, target)
        along_x, along_y = (x1 > x0) - (x1 < x0), (y1 > y0) - (y1 < y0)
        # Both directions of a link lie side by side, each to the right of its way
        side_x, side_y = -0.11 * along_y, 0.11 * along_x
        from_gap, to_gap = (0.4 if core == HOST else SIDE / 2 + 0.02 for core in (source, target))
        start = (x0 + along_x * from_gap + side_x, y0 + along_y * from_gap + side_y)
        end = (x1 - along_x * to_gap + side_x, y1 - along_y * to_gap + side_y)
        colour = LINKS(share) if flits else "#E3E8EC"
        head = (3.2 + 4.0 * share) * scale
        axes.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle=f"-|>,head_length={head:.2f},head_width={head * 0.6:.2f}", color=colour,
                lw=(0.7 + 3.3 * share) * scale, shrinkA=0, shrinkB=0, mutation_scale=1, zorder=2,
            )
        )  # fmt: skip
        if (source, target) == hottest:
            middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
            axes.plot(*middle, marker="o", ms=13 * scale, mfc="none", mec="#B2182B", mew=1.4, zorder=5)


def _draw_legend(figure, axes, partition, mesh, load, title):
    heading = title or f"{mesh.width}x{mesh.height} mesh, partition {partition}"
    if (hottest := load.hottest) is not None:
        ends = " → ".join("host" if core == HOST else f"core {core}" for core in hottest)
        heading += f"\nhottest link (circle): {ends}, {load.peak:,.0f} flits per sample"
    height = figure.get_figheight()
    figure.text(0.1 / figure.get_figwidth(), 1 - 0.08 / height, heading, fontsize=9.5, color=INK, va="top")
    shades = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, max(load.peak, 1e-9)), LINKS)
    bar = figure.colorbar(shades, cax=axes)
    bar.set_label("flits per sample", fontsize=8.5)
    axes.tick_params(labelsize=8)
    bar.outline.set_visible(False)
