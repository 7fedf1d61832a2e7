"""How figures are shown in tables of Markdown."""

from trident.host.report.figure import Figure

EMPTY = "Not measured yet: `make bench` measures, `make results` fills in."


def show(value: float, unit: str) -> str:
    if unit == "fraction":
        return f"{100 * value:.1f} %"
    if unit in ("cycles", "cycles/s", "weights", "epochs", "models", "LUT4"):
        return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2f}"
    if unit == "flits/core/cycle":
        return f"{value:.2f}"
    if unit == "samples/s":
        return f"{value:,.0f} {unit}"
    return (f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}") + (f" {unit}" if unit != "ratio" else "")


def bound_text(figure: Figure) -> str:
    if figure.bound is None:
        return ""
    limit = "at least" if figure.better == "higher" else "at most"
    return f"{limit} {show(figure.bound, figure.unit)}: {'reached' if figure.reached else '**missed**'}"


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers. Empty without rows."""
    if not rows:
        return ""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def row_of(figures: dict[str, Figure], title: str, name: str) -> list[list[str]]:
    """The row of a figure, or none if it was not measured."""
    figure = figures.get(name)
    return [[title, show(figure.value, figure.unit), bound_text(figure)]] if figure else []


def marked(figure: Figure | None) -> str:
    """A value, with a mark where it misses its bound."""
    if figure is None:
        return ""
    return f"{figure.value:.2f}" + (" (**missed**)" if figure.reached is False else "")
