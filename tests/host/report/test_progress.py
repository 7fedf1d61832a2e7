"""What a run prints while it goes on fits a terminal of 80 columns."""

import re
from io import StringIO

import pytest
from rich.console import Console

from trident.host.report.progress import Live, Plain, epoch_line, warn
from trident.host.train.tally import Tally
from trident.host.train.trainer import HISTORY, SERIES, Progress

FULL = Progress(
    10, 99, history={name: [dict.fromkeys(HISTORY, 1.0)] for name in SERIES}, cycles=999_000_000, seconds=1000.0
)
TALLY = Tally(samples=100, loss=9.99, correct=100)


def test_the_line_of_an_epoch():
    line = epoch_line(FULL)
    assert len(line) <= 80
    assert line == "epoch 10  loss 1.0000  train 100.00 %  test 100.00 % (float32 100.00 %)  999 k/s"


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_wider_than_the_terminal(terminal):
    text = StringIO()
    console = Console(file=text, width=80, force_terminal=terminal, color_system=None, legacy_windows=False)
    with (Live if terminal else Plain)(console) as display:
        display.start(10, 100, FULL)
        display.step(FULL, TALLY)
        display.epoch(FULL)
        display.warn("a layer has not fired once, " * 6)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue())
    lines = [line.rstrip() for line in re.split("[\r\n]", plain)]
    assert any("999 k/s" in line for line in lines)
    assert all(len(line) <= 80 for line in lines if terminal or "warning" not in line)
    if terminal:
        bar = next(line for line in reversed(lines) if line.startswith("epoch 11/10"))
        assert "left" in bar and "0.0999" in bar


def test_a_warning_is_one_line_in_a_log():
    text = StringIO()
    warn(Console(file=text, width=80), "word " * 40 + "[red]end[/red]")
    assert text.getvalue().count("\n") == 1 and text.getvalue().endswith("[red]end[/red].\n")
