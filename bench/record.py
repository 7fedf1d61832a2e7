"""Figures with when and on what they were measured: build/bench.json of the runs here, figures.json of all that pages
show."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from trident.host.report.figure import Figure
from trident.hw.errors import TridentError
from trident.hw.files import write_whole
from trident.hw.folders import OUT

ROOT = Path(__file__).resolve().parents[1]
RESULT = OUT / "bench.json"
RECORD = Path(__file__).with_name("figures.json")


@dataclass(frozen=True)
class Measured:
    """A figure, without its bound, and its origin: the day, the commit, with a + where files had changed since, and the
    machine."""

    name: str
    unit: str
    value: float
    better: str
    day: str
    commit: str
    machine: str

    @property
    def figure(self) -> Figure:
        return Figure(self.name, self.unit, self.value, self.better)


def measured(figures: Iterable[Figure]) -> list[Measured]:
    """Figures that have been measured just now."""
    origin = f"{datetime.now(UTC):%Y-%m-%d}", _git("describe", "--always", "--dirty=+", "--exclude=*"), machine()
    return [Measured(f.name, f.unit, f.value, f.better, *origin) for f in figures]


def read(path: Path) -> dict[str, Measured]:
    """The figures of a file by name; none where it is not there. Raises :class:`TridentError` for a file that is not a
    list of them."""
    if not path.exists():
        return {}
    try:
        found = [Measured(**record) for record in json.loads(path.read_text())]
    except (ValueError, TypeError):
        raise TridentError(f"{path} is not a list of figures as make bench writes it") from None
    return {record.name: record for record in found}


def merge(path: Path, records: Iterable[Measured]) -> dict[str, Measured]:
    """Put figures into a file, in the place of those with the same names; returns all that are in it then."""
    found = read(path) | {record.name: record for record in records}
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(asdict(record)) for record in found.values())
    write_whole(path, f"[\n{lines}\n]\n")
    return found


def machine() -> str:
    """What the figures of this process are measured on."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", info.read_text(), re.MULTILINE) if info.exists() else []
    processor = " ".join((names[0] if names else platform.processor() or platform.machine()).split())
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _git(*arguments: str) -> str:
    try:
        found = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found
