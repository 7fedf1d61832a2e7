"""Designs that are too big: what is short, by how much, and the largest mesh that would fit."""

import json

from trident.boards.devices import design_of
from trident.boards.devices.families import FAMILIES
from trident.boards.flow.figures import Use
from trident.boards.flow.fits import largest_mesh, sentence
from trident.boards.flow.synthesis import amount, read_netlist

ROUTER = {"LUT4": 800}
CORE = {"LUT4": 3000, "CCU2C": 100, "DP16KD": 10, "$scopeinfo": 9}
REST = {"LUT4": 500, "DP16KD": 2}


def netlist(cores: int):
    """As yosys counts a mesh whose cores and routers are apart."""
    top = REST | {"core": cores, "router": cores}
    modules = {"\\top": top, "\\core": CORE, "\\router": ROUTER}
    counted = {name: {"num_cells_by_type": cells} for name, cells in modules.items()}
    return read_netlist(json.dumps({"modules": counted}))


def use(lut: int, bram: int, ff: int = 100):
    return {"lut": Use(lut, 24288), "ff": Use(ff, 24288), "bram": Use(bram, 56), "dsp": Use(0, 28)}


def test_amounts_count_every_copy():
    found, family = netlist(6), FAMILIES["ecp5"]
    assert found.copies == {"top": 1, "core": 6, "router": 6}
    assert amount(found, family, "lut") == 500 + 6 * (800 + 3000 + 200)
    assert amount(found, family, "lut", ("core",)) == 6 * 3200
    assert amount(found, family, "bram") == 62


def test_sentence_names_what_is_short():
    design = design_of("ulx3s-25f", "3x2")
    assert sentence(design, netlist(6), use(24500, 62)) == (
        "set-up 3x2 is too big for ulx3s-25f: it takes 24,500 lookup tables of 24,288 (1 % too many) and 62 block RAMs "
        "of 56 (11 % too many); the largest mesh of such cores that fits is SETUP=5x1"
    )
    assert sentence(design, netlist(6), use(24000, 56)) == ""


def test_largest_mesh():
    design = design_of("ulx3s-25f", "3x2")
    assert largest_mesh(design, netlist(6), use(24500, 12)) == (5, 1)
    assert largest_mesh(design, netlist(6), use(2 * 24500, 12)) == (2, 1), "nextpnr's count is what counts"
    assert largest_mesh(design, netlist(6), use(7 * 24500, 12)) is None
    one = design_of("ulx3s-25f", "core")
    assert largest_mesh(one, netlist(1), use(30000, 12)) is None
    assert sentence(one, netlist(1), use(30000, 12)).endswith("(24 % too many); no such core fits")
