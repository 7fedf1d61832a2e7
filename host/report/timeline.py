"""The timeline: what every engine of every core does over one minibatch."""

from collections.abc import Iterable, Sequence
from io import BytesIO, StringIO
from typing import NamedTuple

import matplotlib
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from trident.host.report.report import INK, STYLE
from trident.hw.errors import TridentError

LANES = {
    "forward": ("forward",),
    "backward": ("backward", "loss"),
    "weight_grad": ("weight_grad",),
    "update": ("update", "reduce"),
    "links": ("receive", "send", "links"),
}
"""The lanes of a core's band, from the top, and the queues that each of them shows."""

COLOURS = {
    "forward": "#0072B2",
    "backward": "#D55E00",
    "weight_grad": "#009E73",
    "update": "#CC79A7",
    "links": "#8896A4",
}
HEADING = 0.62  # inches, for legend and axis


class Interval(NamedTuple):
    """A queue of a core runs a job from cycle ``start`` to cycle ``end``."""

    core: int
    queue: str
    start: int
    end: int


def timeline_svg(intervals: Iterable[Interval], labels: Sequence[str] | None = None) -> str:
    """An SVG element with a band per core: thin lanes for its engines, its update and its links, over the cycles.

    intervals: of any order, queues as in :data:`LANES`; labels: the cores' names, otherwise their numbers. The same
    input gives the same bytes. Raises :class:`TridentError` for no interval, for an unknown queue, and for an interval
    that ends before it starts or whose core is below 0 or has no label.
    """
    text = StringIO()
    _draw(list(intervals), labels, text, "svg", metadata={"Date": None, "Creator": None})
    document = text.getvalue()
    return document[document.index("<svg") :]


def timeline_png(intervals: Iterable[Interval], labels: Sequence[str] | None = None) -> bytes:
    """The same drawing as a PNG file."""
    data = BytesIO()
    _draw(list(intervals), labels, data, "png", dpi=150)
    return data.getvalue()


def _draw(intervals, labels, file, kind, **options):
    lane_of = {queue: lane for lane, queues in LANES.items() for queue in queues}
    _check(intervals, labels, lane_of)
    cores = len(labels) if labels is not None else 1 + max(interval.core for interval in intervals)
    names = list(labels) if labels is not None else [f"core {core}" for core in range(cores)]
    first, last = min(i.start for i in intervals), max(i.end for i in intervals)
    with matplotlib.rc_context(STYLE):
        band = 0.62 if cores <= 4 else 0.40 if cores <= 24 else 0.28  # inches
        figure = Figure(figsize=(10.0, cores * band + HEADING), layout="constrained")
        axes = figure.add_subplot()
        height = 0.84 / len(LANES)  # of a lane; the rest parts the bands
        for core in range(cores):
            axes.axhspan(core - 0.46, core + 0.46, color="#F3F5F7" if core % 2 == 0 else "#FAFBFC", lw=0, zorder=0)
        # A job never shows as nothing, however long the minibatch
        least = (last - first) / 3000
        for number, lane in enumerate(LANES):
            boxes = []
            for interval in sorted(intervals):
                if lane_of[interval.queue] != lane:
                    continue
                top = interval.core - 0.42 + number * height
                start, end = interval.start, max(interval.end, interval.start + least)
                bottom = top + 0.86 * height
                boxes.append([(start, top), (end, top), (end, bottom), (start, bottom)])
            # A white edge parts the jobs that follow each other without a gap
            edge = 0.35 if len(boxes) <= 60 * cores else 0.0
            axes.add_collection(
                PolyCollection(boxes, facecolor=COLOURS[lane], edgecolor="white" if edge else "none", lw=edge, zorder=2)
            )
        axes.set_xlim(first, last)
        axes.set_ylim(cores - 0.5, -0.5)
        axes.set_yticks(range(cores), names, fontsize=8.5 if cores <= 24 else 6.5)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_formatter(EngFormatter())
        axes.set_xlabel("cycles")
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        present = {lane_of[interval.queue] for interval in intervals}
        figure.legend(
            handles=[Patch(color=COLOURS[lane], label=_name(lane)) for lane in LANES if lane in present],
            frameon=False, ncols=len(LANES), loc="outside upper left", fontsize=8.5, labelcolor=INK,
        )  # fmt: skip
        figure.savefig(file, format=kind, **options)


def _name(lane: str) -> str:
    others = [queue for queue in LANES[lane] if queue != lane]
    return f"{lane} ({', '.join(others)})" if others else lane


def _check(intervals, labels, lane_of):
    if not intervals:
        raise TridentError("a timeline needs at least 1 interval, not 0")
    for interval in intervals:
        if interval.queue not in lane_of:
            raise TridentError(f"a timeline has the queues {', '.join(lane_of)}, not {interval.queue!r}")
        if interval.end < interval.start:
            raise TridentError(
                f"{interval.queue} of core {interval.core} ends in cycle {interval.end}, before it starts in "
                f"{interval.start}"
            )
        if interval.core < 0:
            raise TridentError(f"core numbers of a timeline begin with 0, not {interval.core}")
        if labels is not None and interval.core >= len(labels):
            raise TridentError(f"a timeline of cores 0 to {len(labels) - 1} has no core {interval.core}")
