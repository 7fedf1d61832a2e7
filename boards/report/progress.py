"""How a build shows itself: stages with their times, on a terminal while they run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from trident.boards.flow.stages import Stage


@contextmanager
def watch(
    console: Console, titles: dict[str, str]
) -> Iterator[tuple[Callable[[str, str], None], Callable[[Stage], None]]]:
    """Two functions to tell that a stage has started (its name and tool) and ended; ``titles`` by stage name.

    A stage leaves one line when it has ended; on a terminal, the one that runs has a line that moves.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        running = []

        def started(name: str, tool: str):
            if console.is_terminal:
                running.append(progress.add_task(f"{titles[name]}: {tool}", total=None))
            else:
                console.print(f"{titles[name]}: {tool} ...")

        def ended(stage: Stage):
            while running:
                progress.remove_task(running.pop())
            if stage.cached:
                console.print(f"{titles[stage.name]}: done before")
            else:
                console.print(
                    f"{titles[stage.name]}: {stage.seconds:.1f} s, {stage.memory_mib:.0f} MiB"
                )

        yield started, ended
