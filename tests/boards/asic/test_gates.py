"""Units in standard cells: their simulation, what they take, and whole cores that answer as their RTL does."""

import itertools
from dataclasses import replace
from subprocess import CompletedProcess
from types import SimpleNamespace

import numpy as np
import pytest

from trident.boards.asic import measure as measuring
from trident.boards.asic.commands import dense_macs
from trident.boards.asic.liberty import Cell, Curve, Library
from trident.boards.asic.measure import UNITS, measure
from trident.boards.asic.netlist import read, synthesise
from trident.boards.asic.power import priced
from trident.boards.asic.scaling import scale
from trident.hw.errors import Failure, TridentError
from trident.hw.isa.config import CoreConfig
from trident.snn.network.network import Network

FLAT = Curve((), (2.0,))


def cell(name: str, table: int | None, pins: str, output: str = "Y", **others) -> Cell:
    return Cell(name, 10.0, dict.fromkeys(pins, 1.0), dict.fromkeys(pins, 0.5), output, table, FLAT, **others)


LIBRARY = Library("mine", 2.0, {one.name: one for one in (
    cell("INV", 0b01, "A"), replace(cell("NAND", 0b0111, "AB"), area=5.0), cell("AND", 0b1000, "AB"),
    cell("XOR", 0b0110, "AB"), cell("DFF", None, "CD", "Q", clock="C", leakage=3.0),
    cell("DFFN", None, "CD", "Q", clock="C", falling=True),
)}, "")  # fmt: skip


def module(cells: dict, ports: dict, inits: dict | None = None) -> dict:
    """Yosys' JSON of cells, a type and nets by pin, and ports, direction and nets."""
    return {
        "ports": {name: {"direction": way, "bits": bits} for name, (way, *bits) in ports.items()},
        "cells": {
            name: {"type": kind, "connections": {pin: [net] for pin, net in pins.items()}}
            for name, (kind, pins) in cells.items()
        },
        "netnames": {
            name: {"bits": [net], "attributes": {"init": value}} for name, (net, value) in (inits or {}).items()
        },
    }


# A counter of two bits that counts while ``en`` is 1, and whether both bits are 1
COUNTER = module(
    {
        "low": ("$_DFFE_PP_", {"C": 2, "D": 10, "E": 3, "Q": 4}), "next_low": ("INV", {"A": 4, "Y": 10}),
        "high": ("$_DFFE_PP_", {"C": 2, "D": 11, "E": 3, "Q": 5}), "next_high": ("XOR", {"A": 4, "B": 5, "Y": 11}),
        "both": ("AND", {"A": 5, "B": 4, "Y": 6}), "seen": ("$_DFF_P_", {"C": 2, "D": 6, "Q": 7}),
    },
    {"clk": ("input", 2), "en": ("input", 3), "count": ("output", 4, 5), "full": ("output", 6), "was": ("output", 7)},
    {"high": (5, "1")},
)  # fmt: skip


def run(en: list[int], first: int = 0):
    unit = read("counter", COUNTER, LIBRARY)
    return unit, unit.run({"en": np.array(en)[:, None]}, first)


def test_a_netlist_does_what_its_gates_say():
    _, found = run([1, 1, 0, 1, 1])
    assert (found.outputs["count"] @ [1, 2]).tolist() == [2, 3, 0, 0, 1]
    assert found.outputs["full"].ravel().tolist() == [0, 1, 0, 0, 0]
    assert found.outputs["was"].ravel().tolist() == [0, 0, 1, 0, 0]


def test_transitions_and_clocked_cycles_are_counted():
    unit, found = run([1, 1, 0, 1, 1])
    low, high = unit.outputs["count"]
    assert found.cycles == 5
    assert found.changes[[low, high, *unit.inputs["en"], *unit.outputs["full"]]].tolist() == [3, 1, 2, 2]
    assert sorted(found.enabled.tolist()) == [4, 4, 5]
    _, later = run([1, 1, 0, 1, 1], 2)
    assert later.cycles == 3 and later.changes[[low, high]].tolist() == [1, 0]
    assert sorted(later.enabled.tolist()) == [2, 2, 3]


def test_energy_and_area_are_those_of_a_sum_by_hand():
    unit, found = run([1, 1, 0, 1, 1])
    taken = priced(unit, found, LIBRARY)
    # Four gates' outputs, of which the one behind low has no load but a flip-flop; C·V²/2 = 2 for each pin
    pins = {"low": 3, "high": 2, "full": 1, "en": 1, "next_low": 1, "next_high": 1}
    often = {"low": 3, "high": 1, "full": 2, "en": 2, "next_low": 3, "next_high": 2}
    switched = sum(often[net] * (2.0 * (net != "en") + pins[net] * (2.0 + 0.5)) for net in pins) + 2 * 2.0
    assert taken.data == pytest.approx(switched)
    # A cycle of a clock's pin: two transitions of .5 and C·V² = 4; one gated clock: its own flip-flop and its AND's pin
    # in every cycle, and two transitions of the AND's output when it is enabled
    assert taken.clock == pytest.approx((4 + 4 + 5) * 5.0 + 5 * (5.0 + 4.0) + 4 * 2 * 2.0)
    assert taken.equivalents == (3 * 10 + 3 * 10 + 20) / 5.0
    assert (taken.flip_flops, taken.gates) == (4, 4)
    assert taken.leakage == pytest.approx(3 * 3.0 / 1e3)
    assert taken.energy == taken.data + taken.clock


def test_loads_are_interpolated():
    curve = Curve((1.0, 3.0), (10.0, 20.0))
    assert [curve.at(load) for load in (0.0, 1.0, 2.0, 9.0)] == [10.0, 10.0, 15.0, 20.0]


def test_netlists_that_cannot_be_simulated_are_refused():
    strange = module({"a": ("LUT4", {"Z": 2})}, {})
    with pytest.raises(TridentError, match="^odd has a cell LUT4, which the library mine does not have$"):
        read("odd", strange, LIBRARY)
    loop = module({"a": ("INV", {"A": 2, "Y": 3}), "b": ("INV", {"A": 3, "Y": 2})}, {})
    with pytest.raises(TridentError, match="^odd has a loop of gates"):
        read("odd", loop, LIBRARY)


@pytest.mark.parametrize(
    "missing, words",
    [("DFF", "no flip-flop of a rising clock"), ("DFFN", "no flip-flop of a falling clock"), ("AND", "no AND of two"),
     ("NAND", "no NAND of two inputs")],
)  # fmt: skip
def test_libraries_without_a_cell_are_refused(missing, words):
    unit, found = run([1, 0])
    cells = {name: one for name, one in LIBRARY.cells.items() if name != missing}
    library = replace(LIBRARY, cells=cells | ({"AND": LIBRARY.cells["AND"]} if missing == "NAND" else {}))
    if missing == "AND":
        unit = replace(unit, cells=tuple("XOR" if name == "AND" else name for name in unit.cells))
    with pytest.raises(TridentError, match=f"^the library mine has {words}"):
        priced(unit, found, library)


@pytest.mark.parametrize(
    "said, words",
    [("warm\nERROR: no cell\nbye\n", "ERROR: no cell"), ("Traceback:\n  line\nOSError: 12\n", "OSError: 12"),
     ("", "it ended with 1")],
)  # fmt: skip
def test_a_synthesis_that_fails_is_told_in_a_line(monkeypatch, tmp_path, said, words):
    place = "trident.boards.asic.netlist"
    monkeypatch.setattr(f"{place}.CACHE", tmp_path)
    monkeypatch.setattr(f"{place}.find", lambda name: SimpleNamespace(command=[name], environment=dict))
    monkeypatch.setattr(f"{place}.run_tool", lambda *_, **__: CompletedProcess([], 1, said, ""))
    with pytest.raises(Failure, match=f"^yosys failed: {words}$"):
        synthesise("", ("forward",), LIBRARY)


def test_scaling():
    assert scale(32, 0.9) == 1.0
    assert 0.01 < scale(180, 1.8) < scale(130, 1.3) < scale(65, 1.1) < 1
    with pytest.raises(TridentError, match="knows 180, 130, 90, 65, 45, 32 nm, not 28"):
        scale(28, 0.9)


def test_dense_work_of_engines():
    macs = dense_macs(Network.parse("6-4-2"), 4)
    assert macs == {"forward": 4 * (24 + 8), "backward": 4 * 8, "weight_grad": 4 * (24 + 8)}


def test_cores_with_one_engine_are_refused():
    with pytest.raises(TridentError, match="an engine for each pass"):
        measure(CoreConfig.preset("COMPACT"), Network.parse("6-4-2"), 1, LIBRARY)


def _liberty() -> str:
    """Cells that yosys can map to, each with the capacitances and energies of its kind."""
    energy = """internal_power() {{ related_pin : "{pin}";
      rise_power(e) {{ index_1 ("0.01, 0.1"); index_2 ("0.1, 0.2"); values ("0.01, 0.02", "0.02, 0.03"); }}
      fall_power(e) {{ index_1 ("0.01, 0.1"); index_2 ("0.1, 0.2"); values ("0.01, 0.02", "0.02, 0.03"); }} }}"""

    def gate(name: str, area: float, function: str, pins: str) -> str:
        inputs = " ".join(f"pin({pin}) {{ direction : input; capacitance : 0.01; }}" for pin in pins)
        output = f'pin(Y) {{ direction : output; function : "{function}"; {energy.format(pin=pins[0])} }}'
        return f"cell({name}) {{ area : {area}; cell_leakage_power : 0.1; {inputs} {output} }}"

    def flip_flop(name: str, clock: str) -> str:
        passive = """internal_power() { rise_power(p) { index_1 ("0.1, 0.2"); values ("0.01, 0.02"); }
          fall_power(p) { index_1 ("0.1, 0.2"); values ("0.03, 0.04"); } }"""
        return f"""cell({name}) {{ area : 6; cell_leakage_power : 0.2;
          ff(IQ, IQN) {{ clocked_on : "{clock}"; next_state : "D"; }}
          pin(C) {{ direction : input; clock : true; capacitance : 0.02; {passive} }}
          pin(D) {{ direction : input; capacitance : 0.01; {passive} }}
          pin(Q) {{ direction : output; function : "IQ"; {energy.format(pin="C")} }} }}"""

    cells = [gate("INV", 1, "(!A)", "A"), gate("NAND2", 2, "(!(A B))", "AB"), gate("NOR2", 2, "(!(A+B))", "AB"),
             gate("AND2", 3, "(A B)", "AB"), gate("XOR2", 4, "(A^B)", "AB"), gate("BUF", 1, "A", "A"),
             flip_flop("DFF", "C"), flip_flop("DFFN", "!C")]  # fmt: skip
    return f"""library(tests) {{ time_unit : "1ns"; voltage_unit : "1V"; capacitive_load_unit (1, pf);
      nom_voltage : 1.0;\n{chr(10).join(cells)}\n}}\n"""


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Library:
    pytest.importorskip("liberty", reason="the gates extra is not installed")
    path = tmp_path_factory.mktemp("liberty") / "tests.lib"
    path.write_text(_liberty())
    return Library.load(path)


@pytest.mark.fpga
def test_cells_of_a_liberty_file(library):
    assert (library.name, library.voltage) == ("tests", 1.0)
    tables = {"INV": 0b01, "NAND2": 0b0111, "NOR2": 0b0001, "AND2": 0b1000, "XOR2": 0b0110, "BUF": 0b10}
    assert {name: one.table for name, one in library.cells.items() if one.clock is None} == tables
    assert (library.nand.name, library.conjunction.name) == ("NAND2", "AND2")
    assert (library.flip_flop().name, library.flip_flop(falling=True).name) == ("DFF", "DFFN")
    # At a transition time of .18 ns, between the tables' points
    assert library.cells["INV"].switching.at(0.01) == pytest.approx(0.018)
    assert library.cells["INV"].switching.at(0.055) == pytest.approx(0.023)
    assert library.cells["DFF"].passive["C"] == pytest.approx(0.028)


@pytest.mark.fpga
@pytest.mark.parametrize(
    "text", ["", "not liberty", "library(x) { }", "\0", "library(x) { nom_voltage : 1; cell(y) { } }"]
)
def test_other_files_are_refused(tmp_path, text):
    pytest.importorskip("liberty", reason="the gates extra is not installed")
    path = tmp_path / "x.lib"
    path.write_text(text)
    with pytest.raises(TridentError, match=r"x.lib is no Liberty file that can be used"):
        Library.load(path)
    with pytest.raises(TridentError, match="cannot be read"):
        Library.load(tmp_path / "none.lib")


@pytest.mark.fpga
def test_units_in_gates_answer_as_their_rtl(library, monkeypatch):
    """All units of a core, every port, every cycle of a minibatch; and a wrong gate is seen."""
    cfg, network = CoreConfig.preset("TINY"), Network.parse("6-4-2")
    found = measure(cfg, network, 3, library)
    assert tuple(found.units) == UNITS
    assert found.cycles > 500 and found.samples == 3
    assert all(taken.data > 0 and taken.clock > 0 and taken.equivalents > 100 for taken in found.units.values())
    energies = [measure(cfg, network, 3, library, density).units["forward"].data for density in (0.0, 0.9)]
    assert energies[0] < energies[1]

    synthesise = measuring.synthesise
    for unit, number in itertools.product(("forward", "update"), (5, -40)):

        def wrong(*args, unit=unit, number=number):
            units = synthesise(*args)
            tables = units[unit].tables.copy()
            tables[number] ^= 0xFFFF
            return units | {unit: replace(units[unit], tables=tables)}

        monkeypatch.setattr(measuring, "synthesise", wrong)
        with pytest.raises(Failure, match=f"^{unit} in gates differs from its RTL at "):
            measure(cfg, network, 3, library)
