"""What is being built, step by step, while a user waits for it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from trident.sim.rtl.build import LOG


class _Steps(logging.Handler):
    """Shows every step where it is told; ``steps`` counts them."""

    def __init__(self, show):
        super().__init__(logging.INFO)
        self.show, self.steps = show, 0

    def emit(self, record: logging.LogRecord):
        self.steps += 1
        self.show(record.getMessage())


@contextmanager
def building(console: Console, what: str = "the simulation") -> Iterator[None]:
    """Show the steps in which ``what`` is built, with the time they take, and at the end whether it was kept from
    before: a line that changes on a terminal, a line for every step elsewhere."""
    began = perf_counter()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task(f"Preparing {what}")

    def show(step: str):
        if console.is_terminal:
            bar.update(task, description=f"Building {what}: {step}")
        else:
            console.print(f"{perf_counter() - began:5.0f} s  {step}")

    steps = _Steps(show)
    level = LOG.level
    LOG.addHandler(steps)
    LOG.setLevel(logging.INFO)
    try:
        if console.is_terminal:
            bar.start()
        yield
    finally:
        bar.stop()
        LOG.removeHandler(steps)
        LOG.setLevel(level)
    seconds = perf_counter() - began
    built = f"built in {seconds:.0f} s, and kept" if steps.steps else f"kept from before, ready in {seconds:.1f} s"
    console.print(f"{what[:1].upper()}{what[1:]}: {built}.")
