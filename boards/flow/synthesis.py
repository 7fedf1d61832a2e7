"""Synthesis by yosys: the script of a plan, and the cells of the result."""

import json
from dataclasses import dataclass
from pathlib import Path

from trident.boards.devices.design import Design
from trident.boards.devices.families import FAMILIES, Family
from trident.boards.flow.memories import check_memories, read_memories

APART = ("core", "router")  # modules that are synthesised once where a set-up is hierarchical
OUTPUTS = ("netlist.json", "cells.json", "memories.il")
HALF_CYCLE = Path(__file__).with_name("half_cycle.v")


def script(design: Design, hierarchical: bool) -> str:
    """Commands for yosys: chip.v and top.il become netlist.json; cells.json counts cells, memories.il has the memories
    as they were before they were mapped.

    hierarchical: synthesise each of :data:`APART` once.
    """
    options = " ".join(design.setup.synthesis)
    # The engines never use what is read from a word in the cycle that writes it; to keep its old value would double
    # the block RAMs of a memory with two readers
    family = FAMILIES[design.board.family]
    command = f"{family.synthesis} -no-rw-check -top top {options}".rstrip()
    half_cycle = f"techmap -D LEAST={family.half_cycle} -map {HALF_CYCLE.name} t:$mem_v2 r:WR_PORTS=1 %i"
    lines = [
        "read_verilog chip.v",
        "read_rtlil top.il",
        *(f"setattr -mod -set keep_hierarchy 1 {module}" for module in APART if hierarchical and design.mesh.cores > 1),
        f"{command} -run begin:coarse",
        *family.coarse,
        f"{command} -run coarse:map_ram",
        # While multiplexers are whole words: they share more then
        "opt -full",
        "opt_expr -fine",
        *([half_cycle] if family.half_cycle else []),
        "tee -q -o memories.il dump -m t:$mem_v2",
        f"{command} -run map_ram:map_gates",
        # A short carry chain takes more room than what it saves, with its way in and out
        f"techmap t:$alu r:Y_WIDTH<={family.narrow} %i",
        f"{command} -json netlist.json -run map_gates:",
        "tee -q -o cells.json stat -json",
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Netlist:
    """The cells of a synthesised design.

    modules: cells of one of each module, those of modules within it left out; copies: how many times each is there.
    """

    modules: dict[str, dict[str, int]]
    copies: dict[str, int]


def read_netlist(text: str) -> Netlist:
    """The netlist of yosys' ``stat -json``."""
    found = json.loads(text)
    modules = {name.removeprefix("\\"): entry["num_cells_by_type"] for name, entry in found["modules"].items()}
    copies = dict.fromkeys(modules, 0)

    def count(name: str, times: int):
        copies[name] += times
        for cell, number in modules[name].items():
            if cell in modules:
                count(cell, times * number)

    count("top", 1)
    plain = {
        name: {cell: number for cell, number in cells.items() if cell not in modules and cell != "$scopeinfo"}
        for name, cells in modules.items()
    }
    return Netlist(plain, copies)


def amount(netlist: Netlist, family: Family, resource: str, modules: tuple[str, ...] | None = None) -> int:
    """How much of lut, ff, bram or dsp a netlist takes, or all copies of some of its modules do."""
    weights = family.netlist[resource]
    return sum(
        netlist.copies[module] * number * weights.get(cell, 0)
        for module, cells in netlist.modules.items() if modules is None or module in modules
        for cell, number in cells.items()
    )  # fmt: skip


def check_netlist(design: Design, cells: str, dump: str, log: str) -> Netlist:
    """Read what synthesis wrote and check the memories.

    cells, dump, log: texts of cells.json, memories.il and yosys' log. Raises :class:`TridentError`, see
    :func:`check_memories`.
    """
    netlist = read_netlist(cells)
    family = FAMILIES[design.board.family]
    blocks = amount(netlist, family, "bram")
    check_memories(read_memories(dump, log), family, blocks, netlist.copies, design.cfg, design.mesh.cores)
    return netlist
