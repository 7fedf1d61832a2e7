"""The plot of what a training's energy went into."""

from io import BytesIO

import matplotlib
from matplotlib.figure import Figure

from trident.host.energy.chip import PARTS
from trident.host.energy.counts import MEMORIES
from trident.host.energy.energy import Energy
from trident.host.report.page import INK, STYLE, plot, svg

COLOURS = {
    "compute": "#D55E00", "register": "#E69F00", "spikes": "#56B4E9", "masks": "#0072B2", "weights": "#009E73",
    "gradients": "#CC79A7", "sums": "#F0E442", "errors": "#882255", "potentials": "#44AA99", "statistics": "#999933",
    "optimizer": "#661100", "dram": "#555555",
}  # fmt: skip
"""By what takes energy: operations, and every memory."""


def energy_svg(energy: Energy) -> str:
    """An SVG element: a bar for each part, stacked of what it went into, in pJ per dense multiply-accumulate. The same
    input gives the same bytes."""
    with matplotlib.rc_context(STYLE):
        return svg(_draw(energy))


def energy_png(energy: Energy) -> bytes:
    """The same drawing as a PNG file."""
    data = BytesIO()
    with matplotlib.rc_context(STYLE):
        _draw(energy).savefig(data, format="png", dpi=150)
    return data.getvalue()


def _draw(energy: Energy) -> Figure:
    parts = [name for name in PARTS if name in energy.parts]
    figure, axes = plot((9.6, 1.1 + 0.45 * len(parts)))
    left = dict.fromkeys(parts, 0.0)
    for kind in ("compute", *MEMORIES):
        widths = [energy.parts[name].get(kind, 0.0) / energy.macs for name in parts]
        if any(widths):
            axes.barh(parts, widths, 0.62, left=list(left.values()), color=COLOURS[kind], label=kind)
            left = {name: left[name] + width for name, width in zip(parts, widths, strict=True)}
    for name, end in left.items():
        share = 100 * end * energy.macs / energy.total
        axes.annotate(f"{end:.3g} pJ, {share:.0f} %", (end, name), (5, 0), textcoords="offset points", va="center",
                      color=INK, fontsize=8.5)  # fmt: skip
    axes.invert_yaxis()
    axes.set_xlim(0, 1.18 * max(left.values()))
    axes.set_xlabel("pJ per dense multiply-accumulate of the training step")
    axes.grid(visible=False, axis="y")
    many = len(axes.get_legend_handles_labels()[1])
    figure.legend(frameon=False, ncols=many if many <= 8 else -(-many // 2), loc="outside upper left")
    return figure
