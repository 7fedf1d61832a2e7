"""The picture of a core's data flow, docs/dataflow.svg: units, memories and what runs between them."""

from xml.sax.saxutils import escape

_STYLE = (
    "text{font:14px Helvetica,Arial,sans-serif;fill:#1d2733;text-anchor:middle}.small{font-size:12px;fill:#445}"
    ".left{text-anchor:start}.right{text-anchor:end}.name{font-weight:bold}.step{font-weight:bold;fill:#fff;font-size:12px}"
    ".engine{fill:#d9e8fb;stroke:#2f6db5}.unit{fill:#eef0f3;stroke:#69727d}.memory{fill:#fdf1d6;stroke:#b98a1d}"
    ".net{fill:#dff0e0;stroke:#3d8a49}"
    ".frame{fill:none;stroke:#9aa3ad;stroke-dasharray:6 4}.flow{fill:none;stroke:#39424d;stroke-width:1.6}"
    ".badge{fill:#2f6db5}"
)

# x, y, width, height, class, step or None, lines of text
_BOXES = [
    (20, 60, 110, 590, "net", None, [
        "network", "", "host tile,", "other cores", "", "the host:", "compiler, driver,", "golden model",
    ]),
    (200, 60, 860, 48, "memory", None, ["spikes, masks: up to 15 slots"]),
    (200, 160, 105, 54, "net", 1, ["EJECT", "packets in"]),
    (335, 160, 90, 54, "unit", 4, ["SEND"]),
    (470, 160, 150, 54, "engine", 2, ["FORWARD", "gated add"]),
    (690, 160, 120, 54, "unit", 3, ["neuron *", "leak, spike, reset"]),
    (880, 160, 95, 54, "unit", 5, ["LOSS", "table"]),
    (200, 300, 105, 54, "net", None, ["INJECT", "packets out"]),
    (335, 300, 90, 54, "net", None, ["rows", "in and out"]),
    (470, 300, 150, 54, "memory", None, ["weights", "skewed banks"]),
    (690, 300, 120, 54, "engine", 7, ["BACKWARD", "multiply-add"]),
    (880, 300, 130, 54, "unit", 6, ["neuron_grad *", "surrogate, leak"]),
    (690, 420, 320, 48, "memory", None, ["errors, error masks: two slots"]),
    (850, 520, 140, 54, "engine", 8, ["WEIGHT_GRAD", "gated add"]),
    (690, 520, 110, 54, "memory", None, ["gradients"]),
    (470, 520, 150, 54, "unit", 9, ["UPDATE *", "momentum, weights"]),
    (310, 520, 105, 54, "memory", None, ["momenta"]),
    (200, 602, 860, 48, "unit", None, [
        "sequencer: six threads, one per queue; tokens of this and other cores; jobs; counters; faults",
    ]),
]  # fmt: skip

# points, arrow at the start too, label, its place, its class
_FLOWS = [
    ([(130, 187), (200, 187)], False, "packets", (155, 180), "small"),
    ([(252, 160), (252, 108)], False, "", None, ""),
    ([(380, 108), (380, 160)], False, "", None, ""),
    ([(360, 214), (360, 246), (225, 246), (225, 300)], False, "last layer's spikes", (366, 234), "small left"),
    ([(280, 214), (280, 272), (380, 272), (380, 300)], False, "rows", (330, 286), "small"),
    ([(200, 327), (130, 327)], False, "", None, ""),
    ([(335, 338), (305, 338)], False, "", None, ""),
    ([(690, 342), (650, 342), (650, 372), (385, 372), (385, 354)], True, "e, and partial sums", (465, 387),
     "small"),
    ([(400, 354), (400, 403), (838, 403), (838, 342), (880, 342)], False, "RECEIVE: e of others", (465, 417),
     "small"),
    ([(870, 574), (870, 588), (282, 588), (282, 430), (350, 430), (350, 354)], True, "REDUCE: gradients",
     (288, 500), "small left"),
    ([(545, 108), (545, 160)], False, "spike words", (551, 138), "small left"),
    ([(620, 187), (690, 187)], False, "x", (655, 180), "small"),
    ([(750, 160), (750, 108)], False, "spikes, masks", (756, 138), "small left"),
    ([(927, 108), (927, 160)], False, "counts", (921, 138), "small right"),
    ([(992, 108), (992, 300)], False, "spikes,\nmasks", (997, 250), "small left"),
    ([(545, 300), (545, 214)], False, "rows", (551, 262), "small left"),
    ([(620, 327), (690, 327)], False, "columns", (655, 320), "small"),
    ([(810, 327), (880, 327)], False, "e", (845, 320), "small"),
    ([(927, 214), (927, 300)], False, "e", (921, 262), "small right"),
    ([(945, 354), (945, 420)], False, "d", (951, 392), "small left"),
    ([(750, 420), (750, 354)], False, "d", (756, 392), "small left"),
    ([(920, 468), (920, 520)], False, "rows of d", (926, 499), "small left"),
    ([(1048, 108), (1048, 547), (990, 547)], False, "spikes", (1042, 499), "small right"),
    ([(850, 547), (800, 547)], True, "", None, ""),
    ([(690, 547), (620, 547)], True, "", None, ""),
    ([(415, 547), (470, 547)], True, "", None, ""),
    ([(545, 520), (545, 354)], True, "once per minibatch", (551, 442), "small left"),
    ([(130, 626), (200, 626)], True, "tokens", (165, 619), "small"),
]


def _box(x, y, width, height, kind, step, lines) -> str:
    parts = [f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="5"/>']
    middle = y + height / 2 - 9 * (len(lines) - 1) + 5
    for n, line in enumerate(lines):
        style = "name" if n == 0 else "small"
        parts.append(f'<text class="{style}" x="{x + width / 2:g}" y="{middle + 18 * n:g}">{escape(line)}</text>')
    if step:
        parts.append(f'<circle class="badge" cx="{x}" cy="{y}" r="10"/>')
        parts.append(f'<text class="step" x="{x}" y="{y + 4}">{step}</text>')
    return "\n".join(parts)


def _flow(points, both, label, place, kind) -> str:
    path = " ".join(f"{'L' if n else 'M'}{x} {y}" for n, (x, y) in enumerate(points))
    start = ' marker-start="url(#head)"' if both else ""
    parts = [f'<path class="flow" d="{path}" marker-end="url(#head)"{start}/>']
    for n, line in enumerate(label.split("\n") if label else ()):
        parts.append(f'<text class="{kind}" x="{place[0]}" y="{place[1] + 15 * n}">{escape(line)}</text>')
    return "\n".join(parts)


def dataflow_svg() -> str:
    """The picture as SVG text."""
    return "\n".join([
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1110 700" width="1110" height="700" role="img" '
        'aria-label="Data flow of a core: the path of one sample through its nine steps">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#39424d"/></marker></defs>',
        '<rect width="1110" height="700" fill="#fff"/>',
        '<rect class="frame" x="180" y="36" width="905" height="632" rx="8"/>',
        '<text class="small left" x="190" y="30">one core</text>',
        *(_flow(*flow) for flow in _FLOWS),
        *(_box(*box) for box in _BOXES),
        '<text class="small left" x="190" y="688">Blue: the three engines. Yellow: memories. Green: the network. '
        "* share one "
        "multiply-adder per lane. Numbers: the path of one sample.</text>",
        "</svg>",
    ]) + "\n"  # fmt: skip
