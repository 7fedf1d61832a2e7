"""What the reports share: their template and style, and plots as SVG elements."""

from io import StringIO
from math import isfinite
from pathlib import Path

import jinja2
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1B2733"
STYLE = {
    "svg.hashsalt": "trident",
    "svg.fonttype": "none",
    "font.size": 9.5,
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": "#8896A4",
}


def render(template: str, **values) -> str:
    """The HTML of a template in ``templates``; the filter ``value`` writes numbers as people read them."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=jinja2.select_autoescape(["html", "j2"]), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["value"] = _value
    return environment.get_template(template).render(**values)


def plot(size: tuple[float, float]) -> tuple[Figure, Axes]:
    """A figure of so many inches with axes in the style of the reports."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    return figure, axes


def svg(figure: Figure) -> str:
    """The figure as an SVG element; a fixed salt and no date make the bytes depend on the figure only."""
    text = StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    document = text.getvalue()
    return document[document.index("<svg") :]


def _value(value) -> str:
    """A number with narrow spaces between thousands and five significant digits; any other value as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        return str(value)
    whole = isinstance(value, int) or value.is_integer() or abs(value) >= 1e4
    return (f"{value:,.0f}" if whole else f"{value:.5g}").replace(",", "\u202f")
