"""The table of measured figures beside the recorded ones."""

from io import StringIO

import pytest
from rich.console import Console

from trident.bench.commands import compared
from trident.bench.record import Measured
from trident.host.report.figure import Figure


def shown(value: float, better: str, before: float | None, bound: float | None = None) -> str:
    """The row of a figure whose recorded value is ``before``."""
    figure = Figure("core.step", "cycles", value, better, bound)
    recorded = {} if before is None else {"core.step": Measured("core.step", "cycles", before, better, "", "", "")}
    text = StringIO()
    Console(file=text, width=120).print(compared([figure], recorded))
    return " ".join(text.getvalue().splitlines()[1].split())


@pytest.mark.parametrize(
    ("value", "better", "change"),
    [
        (1040, "lower", "+4.0% WORSE"), (1020, "lower", "+2.0%"), (900, "lower", "-10.0%"),
        (900, "higher", "-10.0% WORSE"),
    ],
)
def test_change(value, better, change):
    assert shown(value, better, 1000) == f"core.step {value:,} 1,000 {change} cycles {better}"


def test_not_recorded():
    assert shown(7, "lower", None, bound=5) == "core.step 7 cycles lower 5 MISSED"


def test_recorded_as_zero():
    assert shown(7, "lower", 0) == "core.step 7 0 cycles lower"
