"""The report of a federated run: one HTML file that needs nothing else to be read."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator

from trident.host.federated.server import Round
from trident.host.report.page import INK, STYLE, plot, render, svg
from trident.hw.errors import TridentError
from trident.hw.files import write_whole

# Okabe and Ito's colours, told apart by colour-blind readers
GLOBAL = dict(color="#0072B2", lw=2.4, marker="o", ms=4, zorder=4)
CENTRAL = dict(color=INK, ls="--", lw=1.6, marker="s", ms=3.5, zorder=3)
ALONE = dict(lw=1.2, alpha=0.8)


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
    with matplotlib.rc_context(STYLE):
        plots = {"accuracy": _accuracy(run), "octets": _octets(run), "classes": _classes(run), "loss": _loss(run)}
    write_whole(path, render("federated.html.j2", run=run, plots=plots))


def _accuracy(run: FederatedRecord) -> str:
    figure, axes = plot((9.6, 4.2))
    numbers = range(1, len(run.rounds) + 1)
    for worker, accuracies in enumerate(run.alone):
        label = None if worker else "each worker alone"
        axes.plot(numbers, [100 * a for a in accuracies], label=label, color=_colour(worker), **ALONE)
    axes.plot(numbers, [100 * a for a in run.central], label="central, all samples in one place", **CENTRAL)
    axes.plot(numbers, [100 * done.accuracy for done in run.rounds], label="global model", **GLOBAL)
    _label_ends(axes, len(run.rounds), [100 * accuracies[-1] for accuracies in run.alone])
    axes.set_ylabel("test accuracy, %")
    axes.set_xlabel("round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="lower right")
    return svg(figure)


def _colour(worker: int):
    """A colour of a worker's own, the same in every plot."""
    return matplotlib.colormaps["tab20b" if worker >= 10 else "tab10"](worker % 10 if worker < 10 else worker % 20)


def _label_ends(axes, x: float, values: list[float]):
    """The number of each line beside its end, lifted where it would lie on another."""
    low, high = axes.get_ylim()
    step, at = 0.035 * (high - low), -np.inf
    for number in np.argsort(values, kind="stable"):
        at = max(values[number], at + step)
        axes.annotate(str(number), (x, at), (5, -3), textcoords="offset points", fontsize=8, color=INK)


def _loss(run: FederatedRecord) -> str:
    figure, axes = plot((4.6, 2.8))
    for worker in range(len(run.classes)):
        own = [(done.number, done.workers.get(str(worker))) for done in run.rounds]
        points = [(number, answer["loss"]) for number, answer in own if answer]
        if points:
            label = None if worker else "workers, while they train"
            axes.plot(*zip(*points), label=label, color=_colour(worker), **ALONE)
    axes.plot([d.number for d in run.rounds], [d.loss for d in run.rounds], label="global model, test", **GLOBAL)
    axes.set_xlabel("round")
    axes.set_ylabel("loss")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return svg(figure)


def _octets(run: FederatedRecord) -> str:
    figure, axes = plot((4.6, 2.8))
    numbers = [done.number for done in run.rounds]
    sent = [done.sent / 1000 for done in run.rounds]
    axes.bar(numbers, sent, 0.7, color="#0072B2", label="to the workers")
    axes.bar(numbers, [done.received / 1000 for done in run.rounds], 0.7, bottom=sent, color="#E69F00",
             label="from the workers")  # fmt: skip
    axes.set_xlabel("round")
    axes.set_ylabel("kilobytes")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(frameon=False, ncols=2, loc="outside upper left")
    return svg(figure)


def _classes(run: FederatedRecord) -> str:
    figure, axes = plot((9.6, 0.9 + 0.32 * len(run.classes)))
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
    return svg(figure)
