"""How a training run shows itself: a live bar on a terminal, a line per epoch elsewhere."""

from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from trident.host.train.tally import Tally
from trident.host.train.trainer import Progress as Run

PLAIN_SECONDS = 30  # between two lines within an epoch


def count(value: float) -> str:
    """A number with spaces between thousands."""
    return f"{value:,.0f}".replace(",", " ")


def percent(share: float | None) -> str:
    """A share within 0 to 1, or a dash for none."""
    return "–" if share is None else f"{100 * share:.2f} %"


def speed(run: Run) -> float:
    """Cycles per second so far in training and test, Python included."""
    return run.cycles / run.seconds if run.seconds else 0.0


def epoch_line(run: Run) -> str:
    """The last epoch in one line of at most 80 columns."""
    last = {name: epochs[-1] for name, epochs in run.history.items()}
    rtl, twin = last["RTL"], last["float32"]
    return (
        f"epoch {run.epoch:>2}  loss {rtl['loss']:.4f}  train {percent(rtl['train_accuracy'])}  "
        f"test {percent(rtl['test_accuracy'])} (float32 {percent(twin['test_accuracy'])})  {speed(run) / 1e3:.0f} k/s"
    )


def warn(console: Console, sentence: str):
    """Tell a user what is likely not meant."""
    # A terminal's lines break between words; a log has one line for each
    console.print(Text.assemble(("warning: ", "bold yellow"), f"{sentence}."), soft_wrap=not console.is_terminal)


class _Remaining(TimeRemainingColumn):
    def render(self, task: Task) -> Text:
        return super().render(task) + Text(" left", "progress.remaining")


class Live:
    """A :class:`Display` with a bar that moves, within 80 columns: loss, accuracy and thousands of cycles per second of
    the epoch so far, and the time that is left; use it as a context."""

    def __init__(self, console: Console):
        self._console = console
        columns: list[ProgressColumn | str] = [
            TextColumn("{task.fields[where]}"), BarColumn(bar_width=12), TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[figures]}"), _Remaining(),
        ]  # fmt: skip
        self._bar = Progress(*columns, console=console, speed_estimate_period=60)

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def start(self, epochs: int, minibatches: int, run: Run):
        """A run of so many epochs of so many minibatches begins, or goes on where ``run`` is."""
        self._epochs, self._minibatches = epochs, minibatches
        self._task = self._bar.add_task(
            "", total=epochs * minibatches, completed=run.epoch * minibatches + run.minibatch,
            where=f"epoch {run.epoch + 1}/{epochs}", figures="",
        )  # fmt: skip

    def step(self, run: Run, tally: Tally):
        """A minibatch is done; ``tally`` is the epoch's so far."""
        self._bar.update(
            self._task, completed=run.epoch * self._minibatches + run.minibatch,
            where=f"epoch {run.epoch + 1}/{self._epochs}",
            figures=f"loss {tally.mean_loss:.4f}  {percent(tally.accuracy)}  {speed(run) / 1e3:.0f} k/s",
        )  # fmt: skip

    def epoch(self, run: Run):
        """An epoch is done and tested."""
        self._console.print(epoch_line(run))

    def warn(self, finding: str):
        """Something keeps the network from learning."""
        warn(self._console, finding)


class Plain:
    """A :class:`Display` for logs: a line per epoch, and within a long one every half a minute."""

    def __init__(self, console: Console):
        self._console = console

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def start(self, epochs: int, minibatches: int, run: Run):
        """See :class:`Live`."""
        self._epochs, self._minibatches, self._told = epochs, minibatches, perf_counter()

    def step(self, run: Run, tally: Tally):
        """See :class:`Live`."""
        if perf_counter() - self._told < PLAIN_SECONDS:
            return
        self._told = perf_counter()
        self._print(
            f"epoch {run.epoch + 1:>2}  minibatch {run.minibatch}/{self._minibatches}  loss {tally.mean_loss:.4f}  "
            f"train {percent(tally.accuracy)}  {speed(run) / 1e3:.0f} k/s"
        )

    def epoch(self, run: Run):
        """See :class:`Live`."""
        self._told = perf_counter()
        self._print(epoch_line(run))

    def warn(self, finding: str):
        """See :class:`Live`."""
        warn(self._console, finding)

    def _print(self, line: str):
        self._console.print(line, soft_wrap=True)


def counter_table(cores: list[dict[str, int]]) -> Table:
    """The counters of a run, summed over its cores, those of the engines side by side."""
    counters = {name: sum(core[name] for core in cores) for name in cores[0]}
    engines = ("forward", "backward", "weight_grad")
    table = Table("counter", *engines, title="Counters", title_justify="left", box=None, header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    names = [name.partition(".")[2] for name in counters if name.startswith("forward.")]
    for name in names:
        table.add_row(name, *(count(counters[f"{engine}.{name}"]) for engine in engines))
    for name, value in counters.items():
        if name.partition(".")[0] not in engines:
            table.add_row(name, count(value))
    return table
