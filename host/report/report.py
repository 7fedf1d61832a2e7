"""The report of a training run: one HTML file that needs nothing else to be read."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from trident.host.report.page import INK, STYLE, plot, render, svg
from trident.hw.errors import TridentError
from trident.hw.files import write_whole

# Okabe and Ito's colours, told apart by colour-blind readers. RTL and golden lie on top of each other when all is well:
# a broad pale line under a thin dashed one shows both.
SERIES = {
    "RTL": dict(color="#E69F00", ls="-", lw=6, alpha=0.55, solid_capstyle="round"),
    "golden": dict(color="#0072B2", ls="--", lw=1.6, marker="s", ms=3.5),
    "float32": dict(color="#1B2733", ls=":", lw=1.6, marker="^", ms=3.5),
}
ACTIVITIES = {
    "busy": "#0072B2",
    "draining": "#56B4E9",
    "stalled": "#E69F00",
    "searching": "#CC79A7",
    "idle": "#D3D8DE",
}
PLAIN = {"running": ACTIVITIES["busy"], "idle": ACTIVITIES["idle"]}  # of a core that counts no more
NUMBERED = 20  # classes up to which each is named, and each count written, in the confusion matrix


@dataclass(frozen=True)
class Epoch:
    """One point of the curves: mean loss of the minibatches, accuracies and share of the test samples without a
    prediction within 0 to 1 (None where not measured)."""

    loss: float
    train_accuracy: float
    test_accuracy: float | None = None
    undecided: float | None = None


@dataclass(frozen=True)
class Verdict:
    """How the run ended: weights compared bit for bit with the golden model, speed of the simulation, wall time, and
    how much of that went by before the first minibatch; of a run that prunes, the share of the weights that are 0."""

    weights_compared: int
    weights_differing: int
    test_accuracy: float
    cycles: int
    cycles_per_second: float
    wall_seconds: float
    build_seconds: float = 0.0
    zero_weights: float | None = None

    @property
    def bit_exact(self) -> bool:
        """Weights were compared and none differs."""
        return self.weights_compared > 0 and self.weights_differing == 0


@dataclass(frozen=True)
class RunRecord:
    """Everything that the report shows of a run; plain values throughout, so that it is kept as JSON.

    Attributes
    ----------
    title
        Headline of the report.
    settings, counters
        Names and values of the two tables, in the order given.
    network
        One mapping per layer, all with the same keys (the columns of the table).
    graph
        An SVG element: the network's nodes, and where they run.
    series
        Epochs by series; the names are among "RTL", "golden" and "float32".
    layers
        Per layer its ``name``, ``firing_rate`` and ``gradient_sparsity``, both within 0 to 1, and, where the cost model
        has them, cycles per sample of its ``forward``, ``backward`` and ``weight_grad``.
    engines
        Cycles by engine and activity: "busy" (operations start), "draining" (finished sums leave), "stalled" (an
        operation waits), "searching" (a job is under way, but nothing of this), and "idle" (no job); or, from a core
        that counts no more, "running" (a job is under way) and "idle".
    verdict
        How the run ended.
    warnings
        Sentences: what is likely not meant in data or settings, and what keeps the network from learning.
    confusion
        Of the last test: by label, how often each class was predicted, and last how often none.
    energy
        Names and values of what training a sample cost, and ``energy_plot``, an SVG element of what that went into;
        empty for cores that do not count enough.
    chip
        Names and values of a chip of several cores; empty for one core.
    floorplan, timeline
        SVG elements: where every slice of the network sits, and what the cores did over a minibatch.
    """

    title: str
    settings: dict[str, str | int | float]
    network: list[dict[str, str | int | float]]
    series: dict[str, list[Epoch]]
    verdict: Verdict
    layers: list[dict[str, str | float]] = field(default_factory=list)
    engines: dict[str, dict[str, int]] = field(default_factory=dict)
    counters: dict[str, int | float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)
    energy: dict[str, str | int | float] = field(default_factory=dict)
    chip: dict[str, str | int | float] = field(default_factory=dict)
    energy_plot: str | None = None
    graph: str | None = None
    floorplan: str | None = None
    timeline: str | None = None

    def __post_init__(self):
        if unknown := set(self.series) - set(SERIES):
            raise TridentError(f"a series of a report is named {', '.join(SERIES)}, not {', '.join(sorted(unknown))}")
        for engine, cycles in self.engines.items():
            if set(cycles) != set(self.activities):
                raise TridentError(
                    f"engine {engine} must have cycles {', '.join(self.activities)}, not {', '.join(cycles)}"
                )

    @property
    def activities(self) -> dict[str, str]:
        """What the engines' cycles are told apart by, with its colour."""
        return PLAIN if any("running" in cycles for cycles in self.engines.values()) else ACTIVITIES

    def to_json(self) -> str:
        """The record as a JSON object that :meth:`from_json` reads back."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "RunRecord":
        """Read what :meth:`to_json` wrote; raises :class:`TridentError` if it is anything else."""
        try:
            values = json.loads(text)
            values["series"] = {name: [Epoch(**epoch) for epoch in epochs] for name, epochs in values["series"].items()}
            values["verdict"] = Verdict(**values["verdict"])
            return cls(**values)
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            if isinstance(fault, TridentError):
                raise
            names = ", ".join(f.name for f in fields(cls))
            raise TridentError(f"this is not the JSON of a run record (fields {names}): {fault}") from None


def write_report(path: str | Path, run: RunRecord):
    """Write the report of ``run`` as one HTML file, plots included as SVG; the same run gives the same bytes.

    The folder must exist. Raises :class:`TridentError` if the file cannot be written.
    """
    with matplotlib.rc_context(STYLE):
        plots = {
            "loss": _curves(run, "loss"),
            "train": _curves(run, "train_accuracy"),
            "test": _curves(run, "test_accuracy"),
            "confusion": _confusion(run),
            "activity": _activity(run),
            "cycles": _cycles(run),
        }
    page = render(
        "report.html.j2",
        run=run,
        plots=plots,
        running={name: _running(cycles) for name, cycles in run.engines.items()},
        busy={name: _busy(cycles) for name, cycles in run.engines.items() if "busy" in cycles},
    )
    write_whole(Path(path), page)


def _curves(run: RunRecord, quantity: str) -> str | None:
    figure, axes = plot((3.5, 2.6))
    drawn = False
    for name, style in SERIES.items():
        points = [
            (number, getattr(epoch, quantity))
            for number, epoch in enumerate(run.series.get(name, []), 1)
            if getattr(epoch, quantity) is not None
        ]
        if points:
            # A single point has no line to show.
            axes.plot(*zip(*points), label=name, **style | ({"marker": "o"} if len(points) == 1 else {}))
            drawn = True
    if not drawn:
        return None
    axes.ticklabel_format(axis="y", useOffset=False)
    if len(next(iter(run.series.values()), [])) == 1:  # a single point has no scale of its own
        axes.set_ylim(0, None if quantity == "loss" else 1)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if quantity != "loss":
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
    axes.legend(frameon=False)
    return svg(figure)


def _confusion(run: RunRecord) -> str | None:
    if not run.confusion:
        return None
    counts, classes = np.array(run.confusion), len(run.confusion)
    totals = counts.sum(axis=1)
    figure, axes = plot((2.2 + 0.42 * min(classes, 16), 1.2 + 0.36 * min(classes, 16)))
    axes.grid(visible=False)
    axes.imshow(counts / np.maximum(totals, 1)[:, None], cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if classes <= NUMBERED:
        for (label, guess), count in np.ndenumerate(counts):
            if count:
                dark = count > totals[label] / 2
                axes.text(guess, label, count, ha="center", va="center", color="white" if dark else INK, fontsize=8)
    recall = [f"{100 * counts[n, n] / total:.0f} %" if total else "–" for n, total in enumerate(totals)]
    shown = range(0, classes, -(-classes // NUMBERED))
    axes.set_xticks([*shown, classes], [*map(str, shown), "none"])
    axes.set_yticks(list(shown), list(map(str, shown)))
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    right = axes.secondary_yaxis("right")
    right.set_yticks(list(shown), [recall[n] for n in shown])
    right.set_ylabel("recall")
    return svg(figure)


def _activity(run: RunRecord) -> str | None:
    if not run.layers:
        return None
    figure, axes = plot((9.6, 0.9 + 0.62 * len(run.layers)))
    rows = range(len(run.layers))
    for offset, key, colour, label in (
        (-0.19, "firing_rate", "#D55E00", "firing rate (spikes per neuron and step)"),
        (0.19, "gradient_sparsity", "#0072B2", "gradient sparsity (share of errors that are zero)"),
    ):
        shares = [100 * layer[key] for layer in run.layers]
        bars = axes.barh([row + offset for row in rows], shares, 0.34, color=colour, label=label)
        axes.bar_label(bars, fmt="%.1f %%", padding=4, color=INK, fontsize=8.5)
    axes.set_yticks(rows, [fill(layer["name"], 26) for layer in run.layers])
    axes.invert_yaxis()
    axes.set_xlim(0, 109)
    axes.set_xticks(range(0, 101, 20), [f"{share} %" for share in range(0, 101, 20)])
    _legend_above(figure, axes)
    return svg(figure)


def _cycles(run: RunRecord) -> str | None:
    if not run.engines:
        return None
    figure, axes = plot((9.6, 0.9 + 0.45 * len(run.engines)))
    left = dict.fromkeys(run.engines, 0)
    for activity, colour in run.activities.items():
        counts = [cycles[activity] for cycles in run.engines.values()]
        axes.barh(list(run.engines), counts, 0.62, left=list(left.values()), color=colour, label=activity)
        left = {name: left[name] + count for name, count in zip(left, counts)}
    for name, cycles in run.engines.items():
        busy = f",\nbusy {100 * _busy(cycles):.0f} % of that" if "busy" in cycles else ""
        axes.annotate(
            f"running {100 * _running(cycles):.0f} % of the time{busy}",
            (left[name], name),
            (5, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=8.5,
        )
    axes.invert_yaxis()
    axes.set_xlim(0, 1.22 * max(max(left.values()), 1))
    axes.set_xlabel("cycles")
    axes.xaxis.set_major_formatter(EngFormatter())
    _legend_above(figure, axes)
    return svg(figure)


def _running(cycles: dict[str, int]) -> float:
    """Share of all cycles in which the engine has a job."""
    return 1 - cycles["idle"] / sum(cycles.values()) if any(cycles.values()) else 0.0


def _busy(cycles: dict[str, int]) -> float:
    """Share of the cycles with a job in which an operation starts."""
    return cycles["busy"] / max(sum(cycles.values()) - cycles["idle"], 1)


def _legend_above(figure: Figure, axes):
    axes.grid(visible=False, axis="y")
    figure.legend(frameon=False, ncols=5, loc="outside upper left")
