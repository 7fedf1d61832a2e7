"""What is printed: plain text, wide enough in a pipe, on whatever takes it."""

import sys

from rich.console import Console

WIDTH = 160  # columns of what is no terminal


def terminal(quiet: bool = False) -> Console:
    """Standard output for tables, bars and sentences; brackets in a text are only brackets.

    ``quiet``: nothing is printed.
    """
    width = None if sys.stdout.isatty() else WIDTH
    return Console(markup=False, highlight=False, emoji=False, width=width, quiet=quiet)
