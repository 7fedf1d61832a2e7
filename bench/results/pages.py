"""Take the measured figures of build/bench.json over into figures.json, and write README.md and pages under docs from
that.

What stands between ``<!-- results:NAME -->`` and ``<!-- end results:NAME -->`` is replaced; nothing else is touched.
"""

import re
import sys
from pathlib import Path

import click

from trident.bench.record import RECORD, RESULT, ROOT, merge, read
from trident.bench.results.bounds import read_figures
from trident.bench.results.tables import (
    balance,
    chosen,
    energy_layer,
    energy_reference,
    energy_training,
    everything,
    federated,
    gates,
    headline,
    latency,
    noc,
    origin,
    placement,
    placers,
    rounding,
    setting,
    sparsity,
    summary,
    training_speed,
)
from trident.boards.report.results import committed, table
from trident.hw.errors import TridentError

PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md", ROOT / "docs" / "noc.md", ROOT / "docs" / "boards.md",
         ROOT / "docs" / "federated.md", ROOT / "docs" / "arithmetic.md", ROOT / "docs" / "energy.md",
         ROOT / "docs" / "placement.md", ROOT / "docs" / "balance.md")  # fmt: skip


def blocks(path: Path) -> dict[str, str]:
    """The text of every block by its name, from the figures at ``path``."""
    figures, records = read_figures(path), read(path)
    makers = {"headline": headline, "chosen": chosen, "summary": summary, "sparsity": sparsity,
              "setting": setting, "noc": noc, "training_speed": training_speed,
              "rounding": rounding, "energy_layer": energy_layer, "energy_reference": energy_reference,
              "energy_training": energy_training, "gates": gates,
              "federated": federated, "placement": placement,
              "placers": placers, "balance": balance, "latency": latency,
              "fpga": lambda _: table(committed())}  # fmt: skip
    texts = {name: make(figures) for name, make in makers.items()}
    return texts | {"origin": origin(records), "everything": everything(figures, records)}


def fill(text: str, made: dict[str, str]) -> str:
    """``text`` with its blocks replaced. Raises TridentError for a block that there is no text for."""

    def replaced(match: re.Match) -> str:
        name = match[1]
        if name not in made:
            raise TridentError(f"there is no block {name!r} of results: choose one of {', '.join(made)}")
        return f"<!-- results:{name} -->\n{made[name]}\n<!-- end results:{name} -->"

    return re.sub(r"<!-- results:(\w+) -->\n.*?<!-- end results:\1 -->", replaced, text, flags=re.DOTALL)


@click.command()
def results():
    """Write the measured figures into README.md and the pages under docs."""
    try:
        merge(RECORD, read(RESULT).values())
        made = blocks(RECORD)
        for page in PAGES:
            page.write_text(fill(page.read_text(), made))
    except TridentError as fault:
        click.echo(f"error: {fault}", err=True)
        sys.exit(2)
    click.echo(f"Written to {', '.join(str(page.relative_to(ROOT)) for page in PAGES)}")
