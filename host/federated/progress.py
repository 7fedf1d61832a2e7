"""How a federated run shows itself: a live table of the workers on a terminal, a line per round elsewhere."""

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from trident.host.federated.server import Round
from trident.host.report.progress import percent

_COLOURS = {"left out": "bold red", "training": "cyan", "answered": "green", "starting": "yellow"}


def round_line(done: Round, rounds: int) -> str:
    """A round in one line."""
    out = "; ".join(f"worker {number} left out: {fault}" for number, fault in done.left_out.items())
    return (
        f"round {done.number:>2}/{rounds}   test {percent(done.accuracy)}   loss {done.loss:.4f}   "
        f"{len(done.workers)} workers   {(done.sent + done.received) / 1000:.0f} kB   {done.seconds:.1f} s"
        + (f"   {out}" if out else "")
    )


class Live:
    """A :class:`Display` with a row per worker that changes; use it as a context."""

    def __init__(self, console: Console, workers: int, rounds: int, done: int = 0):
        self._console, self._rounds, self._number = console, rounds, done + 1
        self._rows = [{"state": "starting", "round": "", "loss": "", "accuracy": ""} for _ in range(workers)]
        self._live = RichLive(self._table(), console=console, refresh_per_second=8, transient=True)

    def __enter__(self):
        self._live.start()
        return self

    def __exit__(self, *_):
        self._live.stop()

    def worker(self, number: int, stage: str, done: int, of: int):
        """A worker has come to a stage of a round, see :data:`STAGES`."""
        row = self._rows[number]
        row["state"] = f"{stage} {done}/{of}" if stage == "training" else stage
        row["round"] = str(self._number) if stage not in ("starting", "ready") else row["round"]
        self._live.update(self._table())

    def left_out(self, number: int, fault: str):
        """A worker's answer does not count."""
        self._rows[number]["state"] = f"left out: {fault}"
        self._live.update(self._table())

    def round(self, done: Round):
        """A round is done."""
        self._number = done.number + 1
        for number, answer in done.workers.items():
            row = self._rows[int(number)]
            row["loss"], row["accuracy"] = f"{answer['loss']:.4f}", percent(answer["accuracy"])
        self._console.print(round_line(done, self._rounds), soft_wrap=True)
        self._live.update(self._table())

    def _table(self) -> Group:
        table = Table("worker", "round", "loss", "accuracy", "state", box=None, header_style="bold")
        for number, row in enumerate(self._rows):
            colour = next((c for name, c in _COLOURS.items() if row["state"].startswith(name)), "")
            table.add_row(str(number), row["round"], row["loss"], row["accuracy"], Text(row["state"], colour))
        title = Text(f"round {min(self._number, self._rounds)} of {self._rounds}", "bold")
        return Group(title, table)


class Plain:
    """A :class:`Display` for logs: a line per round."""

    def __init__(self, console: Console, workers: int, rounds: int, done: int = 0):
        self._console, self._rounds = console, rounds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def worker(self, number: int, stage: str, done: int, of: int):
        """See :class:`Live`."""

    def left_out(self, number: int, fault: str):
        """See :class:`Live`."""

    def round(self, done: Round):
        """See :class:`Live`."""
        self._console.print(round_line(done, self._rounds), soft_wrap=True)
