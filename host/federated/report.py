"""The report of a federated run: one HTML file that needs nothing else to be read."""

import json
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path

import jinja2
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trident.host.federated.server import Round
from trident.host.report.report import INK, STYLE
from trident.hw.errors import TridentError

# Okabe and Ito's colours, told apart by colour-blind readers
GLOBAL = dict(color="#0072B2", lw=2.4, marker="o", ms=4, zorder=4)
CENTRAL = dict(color=INK, ls="--", lw=1.6, marker="s", ms=3.5, zorder=3)
ALONE = dict(color="#E69F00", lw=1.1, alpha=0.75)
_TEMPLATES = Path(__file__).parents[1] / "report" / "templates"


@dataclass(frozen=True)
class FederatedRecord:
    """Everything that the report shows, as plain values.

    title: headline. settings: names and values. rounds: all of the run. alone: per worker its test accuracy after every
    round if it learns alone; central: that of training on all samples in one place. classes: per worker its samples of
    every class. compared: weights that were compared with golden's, and found equal. engine: what carried the messages.
    seconds: of the run, in all.
    """

    title: str
    settings: dict[str, str | int | float]
    rounds: list[Round]
    alone: list[list[float]]
    central: list[float]
    classes: list[list[int]]
    compared: int
    engine: str
    seconds: float

    @property
    def accuracy(self) -> float:
        """Test accuracy of the last global model, within 0 to 1."""
        return self.rounds[-1].accuracy

    @property
    def octets(self) -> int:
        """Bytes of all tasks and answers."""
        return sum(done.sent + done.received for done in self.rounds)

    @property
    def counters(self) -> dict[str, int]:
        """Counters of all chips, summed over workers and rounds."""
        total: dict[str, int] = {}
        for done in self.rounds:
            for answer in done.workers.values():
                for name, value in answer["counters"].items():
                    total[name] = total.get(name, 0) + value
        return total

    def to_json(self) -> str:
        """The record as a JSON object that :meth:`from_json` reads back."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "FederatedRecord":
        """Read what :meth:`to_json` wrote; raises :class:`TridentError` if it is anything else."""
        try:
            values = json.loads(text)
            return cls(**values | {"rounds": [Round(**done) for done in values["rounds"]]})
        except (ValueError, TypeError, KeyError):
            raise TridentError("this is not the JSON of a federated run") from None


def write_report(path: Path, run: FederatedRecord):
    """Write the report as one HTML file, plots included as SVG; the same run gives the same bytes.

    The folder must exist. Raises :class:`TridentError` if the file cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["value"] = _value
    with matplotlib.rc_context(STYLE):
        plots = {"accuracy": _accuracy(run), "octets": _octets(run), "classes": _classes(run), "loss": _loss(run)}
    page = environment.get_template("federated.html.j2").render(run=run, plots=plots)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as fault:
        raise TridentError(f"the report cannot be written to {path}: {fault.strerror}") from None


def _accuracy(run: FederatedRecord) -> str:
    figure, axes = _plot((9.6, 4.2))
    numbers = range(1, len(run.rounds) + 1)
    for worker, accuracies in enumerate(run.alone):
        axes.plot(numbers, [100 * a for a in accuracies], label=None if worker else "each worker alone", **ALONE)
    axes.plot(numbers, [100 * a for a in run.central], label="central, all samples in one place", **CENTRAL)
    axes.plot(numbers, [100 * done.accuracy for done in run.rounds], label="global model", **GLOBAL)
    _label_ends(axes, len(run.rounds), [100 * accuracies[-1] for accuracies in run.alone])
    axes.set_ylabel("test accuracy, %")
    axes.set_xlabel("round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="lower right")
    return _svg(figure)


def _label_ends(axes, x: float, values: list[float]):
    """The number of each line beside its end, lifted where it would lie on another."""
    low, high = axes.get_ylim()
    step, at = 0.035 * (high - low), -np.inf
    for number in np.argsort(values, kind="stable"):
        at = max(values[number], at + step)
        axes.annotate(str(number), (x, at), (5, -3), textcoords="offset points", fontsize=8, color=INK)


def _loss(run: FederatedRecord) -> str:
    figure, axes = _plot((4.6, 2.8))
    for worker in range(len(run.classes)):
        own = [(done.number, done.workers.get(str(worker))) for done in run.rounds]
        points = [(number, answer["loss"]) for number, answer in own if answer]
        if points:
            axes.plot(*zip(*points), label=None if worker else "workers, while they train", **ALONE)
    axes.plot([d.number for d in run.rounds], [d.loss for d in run.rounds], label="global model, test", **GLOBAL)
    axes.set_xlabel("round")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return _svg(figure)


def _octets(run: FederatedRecord) -> str:
    figure, axes = _plot((4.6, 2.8))
    numbers = [done.number for done in run.rounds]
    sent = [done.sent / 1000 for done in run.rounds]
    axes.bar(numbers, sent, 0.7, color="#0072B2", label="to the workers")
    axes.bar(numbers, [done.received / 1000 for done in run.rounds], 0.7, bottom=sent, color="#E69F00",
             label="from the workers")  # fmt: skip
    axes.set_xlabel("round")
    axes.set_ylabel("kilobytes")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(frameon=False, ncols=2, loc="outside upper left")
    return _svg(figure)


def _classes(run: FederatedRecord) -> str:
    figure, axes = _plot((9.6, 0.9 + 0.32 * len(run.classes)))
    left = [0] * len(run.classes)
    colours = matplotlib.colormaps["tab20"].colors
    for label in range(len(run.classes[0])):
        counts = [own[label] for own in run.classes]
        axes.barh(range(len(counts)), counts, 0.7, left=left, color=colours[label % 20], label=str(label))
        left = [a + b for a, b in zip(left, counts, strict=True)]
    axes.set_yticks(range(len(run.classes)), [f"worker {n}" for n in range(len(run.classes))])
    axes.invert_yaxis()
    axes.set_xlabel("samples, by class")
    axes.grid(visible=False, axis="y")
    if len(run.classes[0]) <= 20:
        figure.legend(frameon=False, ncols=20, loc="outside upper left", handlelength=0.8, columnspacing=1.2)
    return _svg(figure)


def _plot(size: tuple[float, float]):
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure) -> str:
    """The figure as an SVG element; a fixed salt and no date make the bytes depend on the figure only."""
    text = StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    document = text.getvalue()
    return document[document.index("<svg") :]


def _value(value) -> str:
    """A number with narrow spaces between thousands; any other value as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return (f"{value:,}" if isinstance(value, int) else f"{value:,.5g}").replace(",", "\u202f")
