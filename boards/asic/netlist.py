"""A core's units as netlists of the standard cells of a library, and their simulation with what they do counted."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
from numba import njit

from trident.boards.asic.liberty import Cell, Library
from trident.boards.flow.tools import find
from trident.hw.errors import Failure, TridentError
from trident.hw.folders import CACHE
from trident.hw.kept import kept_folder
from trident.hw.processes import run_tool

PLAIN, ENABLED = "$_DFF_P_", "$_DFFE_PP_"
LEAST = 4
"""Flip-flops that share an enable from which on their clock is gated."""

# Every unit by itself, without its parts; memories of a unit, accumulators and queues, become flip-flops. The last
# opt_clean: opt would make flip-flops with resets of what has just lost them
_SCRIPT = """\
read_verilog core.v
hierarchy -top core
proc
setattr -mod -set keep_hierarchy 1 core {modules}
flatten
select {modules}
opt_expr
opt_clean
opt -full
memory -nomap
memory_map
opt -full
alumacc
share
opt
techmap
opt -fast
dfflegalize -cell $_DFF_P_ 01 -cell $_DFFE_PP_ 01 -mince {least}
opt_expr
opt_clean
abc -liberty cells.lib
opt_clean -purge
write_json -selected netlist.json
"""


@dataclass(frozen=True)
class Gates:
    """A unit of standard cells. Nets are numbered; 0 and 1 are the constants.

    nets: how many; inputs, outputs: nets of the bits of each port, lowest first; cells: the names of gates, in an order
    in which each comes behind those it reads; pins: (gates, 4), the nets they read, 0 where they have fewer inputs;
    driven: the net of each; tables: the truth table of each; data, enables, states: nets of flip-flops, an enable
    of 1 where the clock is not gated; initial: what a flip-flop holds at first.
    """

    name: str
    nets: int
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    cells: tuple[str, ...]
    pins: np.ndarray
    driven: np.ndarray
    tables: np.ndarray
    data: np.ndarray
    enables: np.ndarray
    states: np.ndarray
    initial: np.ndarray

    @cached_property
    def gated(self) -> np.ndarray:
        """The enables of gated clocks, each once."""
        return np.unique(self.enables[self.enables != 1])

    def run(self, inputs: dict[str, np.ndarray], first: int = 0, awake: np.ndarray | None = None) -> "Run":
        """Simulate, cycle by cycle and without delays, what comes at the ports: (cycles, bits) each of 0 and 1.

        Transitions and clocked cycles are counted from cycle ``first`` on. ``awake``: (cycles,), where it is 0 the
        clock stands still; None: it always runs.
        """
        cycles = len(next(iter(inputs.values())))
        clocked = np.ones(cycles, np.uint8) if awake is None else awake.astype(np.uint8)
        nets = np.concatenate([self.inputs[name] for name in inputs])
        values = np.concatenate([inputs[name] for name in inputs], axis=1).astype(np.uint8)
        shown = np.concatenate([*self.outputs.values()])
        out = np.zeros((cycles, len(shown)), np.uint8)
        changes, enabled = np.zeros(self.nets, np.int64), np.zeros(len(self.enables), np.int64)
        _simulate(
            self.nets, nets, values, self.pins, self.driven, self.tables, self.data, self.enables, self.states,
            self.initial, shown, out, changes, enabled, first, clocked,
        )  # fmt: skip
        ends = np.cumsum([len(bits) for bits in self.outputs.values()])[:-1]
        outputs = dict(zip(self.outputs, np.split(out, ends, axis=1)))
        return Run(cycles - first, outputs, changes, enabled, awake is not None, int(clocked[first:].sum()))


@dataclass(frozen=True)
class Run:
    """What a unit did: outputs by port, (cycles, bits), of all cycles; of the cycles that count, their number, the
    transitions of every net, and the cycles in which each flip-flop was enabled. stops: its clock stands still at
    times; clocked: the cycles in which it does not."""

    cycles: int
    outputs: dict[str, np.ndarray]
    changes: np.ndarray
    enabled: np.ndarray
    stops: bool
    clocked: int


@njit(cache=True)
def _simulate(
    count, nets, values, pins, driven, tables, data, enables, states, initial, shown, out, changes, enabled, first,
    clocked,
):  # fmt: skip
    now = np.zeros(count, np.uint8)
    now[1] = 1
    held = initial.copy()
    for cycle in range(len(values)):
        counting = cycle > first  # a transition is one from the cycle before
        for n in range(len(nets)):
            changes[nets[n]] += counting and now[nets[n]] != values[cycle, n]
            now[nets[n]] = values[cycle, n]
        for n in range(len(states)):
            changes[states[n]] += counting and now[states[n]] != held[n]
            now[states[n]] = held[n]
        for n in range(len(driven)):
            row = now[pins[n, 0]] | now[pins[n, 1]] << 1 | now[pins[n, 2]] << 2 | now[pins[n, 3]] << 3
            value = tables[n] >> row & 1
            changes[driven[n]] += counting and now[driven[n]] != value
            now[driven[n]] = value
        for n in range(len(shown)):
            out[cycle, n] = now[shown[n]]
        for n in range(len(states)):
            if clocked[cycle] and now[enables[n]]:
                held[n] = now[data[n]]
                enabled[n] += cycle >= first


def synthesise(verilog: str, units: tuple[str, ...], library: Library) -> dict[str, Gates]:
    """Units of a core's Verilog, by the names of their instances, in cells of ``library``; kept in the cache folder, as
    it takes minutes.

    Raises :class:`Failure` when yosys fails, :class:`TridentError` when it is not there, and for a library without a
    cell that is needed.
    """
    yosys = find("yosys")
    modules = {unit: f"core_{unit}" for unit in units}
    script = _SCRIPT.format(modules=" ".join(modules.values()), least=LEAST)
    digest = hashlib.sha256("\0".join((verilog, library.text, script, str(yosys))).encode()).hexdigest()[:20]

    def make(work: Path):
        for name, text in (("core.v", verilog), ("cells.lib", library.text), ("synthesise.ys", script)):
            (work / name).write_text(text)
        done = run_tool([*yosys.command, "-q", "synthesise.ys"], work, environment=yosys.environment())
        if done.returncode:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            said = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
            raise Failure(f"yosys failed: {' '.join(said)[:1500] or f'it ended with {done.returncode}'}")
        (work / "core.v").unlink()

    folder = kept_folder(CACHE / "gates" / digest, make)
    found = json.loads((folder / "netlist.json").read_text())["modules"]
    return {unit: read(unit, found[module], library) for unit, module in modules.items()}


def read(name: str, module: dict, library: Library) -> Gates:
    """A module of yosys' JSON. Raises :class:`TridentError` for a cell that the library does not have, and for a loop
    of gates."""
    numbers: dict[int | str, int] = {"0": 0, "1": 1, "x": 0}

    def net(bit: int | str) -> int:
        return numbers.setdefault(bit, len(numbers) - 1)

    def port(direction: str) -> dict[str, np.ndarray]:
        return {
            label: np.array([net(bit) for bit in entry["bits"]])
            for label, entry in module["ports"].items() if entry["direction"] == direction and not label.endswith("clk")
        }  # fmt: skip

    inputs, outputs = port("input"), port("output")
    gates, flip_flops = [], []
    for cell in module["cells"].values():
        kind, ends = cell["type"], {pin: bits[0] for pin, bits in cell["connections"].items()}
        if kind in (PLAIN, ENABLED):
            flip_flops.append((net(ends["D"]), net(ends.get("E", "1")), net(ends["Q"])))
        elif kind == "$scopeinfo":
            continue
        elif kind in library.cells:
            gate = library.cells[kind]
            gates.append((gate, net(ends[gate.output]), [net(ends[pin]) for pin in gate.inputs]))
        else:
            raise TridentError(f"{name} has a cell {kind}, which the library {library.name} does not have")
    order = _ordered(name, gates)
    start = {}
    for entry in module["netnames"].values():
        for bit, value in zip(entry["bits"], reversed(entry["attributes"].get("init", ""))):
            start[net(bit)] = int(value == "1")
    data, enables, states = (np.array(column, np.int64) for column in (zip(*flip_flops) if flip_flops else ([],) * 3))
    return Gates(
        name, len(numbers) - 1, inputs, outputs, tuple(gate.name for gate, *_ in order),
        np.array([read + [0] * (4 - len(read)) for *_, read in order], np.int64).reshape(-1, 4),
        np.array([driven for _, driven, _ in order], np.int64),
        np.array([gate.table for gate, *_ in order], np.uint16), data, enables, states,
        np.array([start.get(state, 0) for state in states.tolist()], np.uint8),
    )  # fmt: skip


def _ordered(name: str, gates: list[tuple[Cell, int, list[int]]]) -> list[tuple[Cell, int, list[int]]]:
    by_net = {driven: gate for gate in gates for driven in (gate[1],)}
    sorter = TopologicalSorter({driven: [pin for pin in gate[2] if pin in by_net] for driven, gate in by_net.items()})
    try:
        return [by_net[driven] for driven in sorter.static_order()]
    except ValueError as fault:
        raise TridentError(f"{name} has a loop of gates: {str(fault)[:80]}") from None
