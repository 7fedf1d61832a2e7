"""``python -m docs.timeline``: which engine ran when, from the RTL's own signals, as docs/timeline.svg.

It simulates the first minibatch of the default training with six samples and records the waves: about a minute.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from trident.host.report.progress import Plain
from trident.host.train.spec import RunSpec
from trident.host.train.trainer import Trainer
from trident.hw.isa.operations import QUEUES, Opcode
from trident.sim.rtl.verilated import VerilatedChip

PICTURE = Path(__file__).with_name("timeline.svg")
SAMPLES = 6
CLOCK = 10  # time units of the waves per cycle
LEFT, WIDTH, ROW, TOP = 110, 960, 34, 34
COLOURS = ("#2f6db5", "#d08a1d", "#4d9a57", "#9a4d8f", "#b5473a", "#4a9aa5")
# From top to bottom as the data flow
ORDER = (Opcode.RECEIVE, Opcode.FORWARD, Opcode.SEND, Opcode.BACKWARD, Opcode.WEIGHT_GRAD, Opcode.UPDATE)


def record(folder: Path) -> Path:
    """Run the minibatch and return the path of its waves (VCD)."""
    spec = RunSpec.make(train={"batch": SAMPLES})
    waves = folder / "waves.vcd"
    link = VerilatedChip(spec.cfg, spec.mesh, waves)
    trainer = Trainer(spec, link, folder / "checkpoint.npz")
    trainer.run(Plain(Console(quiet=True)), limit=1)
    trainer.close()
    link.close()
    return waves


def jobs(waves: Path) -> dict[Opcode, list[tuple[int, int]]]:
    """Per queue, first and last cycle of each job, from the sequencer's signal ``active``."""
    found = {queue: [] for queue in QUEUES}
    began, before, cycle, code = {}, 0, 0, None
    with waves.open() as lines:
        for line in lines:
            words = line.split()
            if code is None:
                if words[:2] == ["$var", "wire"] and words[4] == "active":
                    code = words[3]
            elif line[0] == "#":
                cycle = int(line[1:]) // CLOCK
            elif line[0] == "b" and words[1] == code:
                now = int(words[0][1:], 2)
                for n, queue in enumerate(QUEUES):
                    if (now & ~before) >> n & 1:
                        began[queue] = cycle
                    if (before & ~now) >> n & 1:
                        found[queue].append((began[queue], cycle))
                before = now
    return found


def draw(found: dict[Opcode, list[tuple[int, int]]]) -> str:
    """The picture as SVG text; a sample has one colour in every row."""
    first = min(spans[0][0] for spans in found.values())
    last = max(spans[-1][1] for spans in found.values())
    scale = WIDTH / (last - first)
    height = TOP + ROW * len(ORDER) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 40} {height}" '
        f'width="{LEFT + WIDTH + 40}" height="{height}" role="img" aria-label="Engines over time">',
        "<style>text{font:12px Helvetica,Arial,sans-serif;fill:#1d2733}.on{fill:#fff;text-anchor:middle}"
        ".tick{text-anchor:middle;fill:#445}.grid{stroke:#d5dae0}</style>",
        f'<rect width="{LEFT + WIDTH + 40}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="18">{SAMPLES} samples; a colour and number per sample, a box per job</text>',
    ]
    bottom = TOP + ROW * len(ORDER)
    for cycle in range(0, last - first, 2000):
        x = LEFT + cycle * scale
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 18}">{cycle:,}</text>')
    parts.append(f'<text class="tick" x="{LEFT + WIDTH + 12}" y="{bottom + 18}">cycles</text>')
    for row, queue in enumerate(ORDER):
        y = TOP + ROW * row + 5
        parts.append(f'<text x="12" y="{y + 16}">{queue.name.lower()}</text>')
        spans = found[queue]
        per_sample = len(spans) if queue == Opcode.UPDATE else len(spans) // SAMPLES
        for n, (begin, end) in enumerate(spans):
            x, width = LEFT + (begin - first) * scale, max((end - begin) * scale, 3)
            colour = "#69727d" if queue == Opcode.UPDATE else COLOURS[n // per_sample]
            edge = ' stroke="#fff"' if width > 5 else ""
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="24" fill="{colour}"{edge}/>')
            if width > 14 and queue != Opcode.UPDATE:
                parts.append(f'<text class="on" x="{x + width / 2:.1f}" y="{y + 16}">{n // per_sample + 1}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        PICTURE.write_text(draw(jobs(record(Path(folder)))))
    print(f"Written: docs/{PICTURE.name}")
