"""What is read from nextpnr, on pieces of logs and reports that it has written."""

import json
from pathlib import Path

import pytest

from trident.boards.devices import BOARDS
from trident.boards.devices.families import FAMILIES
from trident.boards.flow.figures import Clock, Use, read_clocks, read_use
from trident.hw.errors import TridentError

SLOWEST = "chip.core0.backward.walker.signal2 to chip.core0.backward.i__payload"
DATA = Path(__file__).with_name("data")


def test_cells_of_an_ecp5():
    use = read_use((DATA / "ecp5.count.log").read_text(), FAMILIES["ecp5"])
    assert use == {"lut": Use(16630, 83640), "ff": Use(8885, 83640), "bram": Use(19, 208), "dsp": Use(16, 156)}


def test_cells_of_an_ice40():
    use = read_use((DATA / "ice40.count.log").read_text(), FAMILIES["ice40"])
    assert use == {"lut": Use(24831, 5280), "bram": Use(28, 30), "dsp": Use(9, 8)}


@pytest.mark.parametrize(("log", "board"), [("ecp5", "ulx3s-85f"), ("ice40", "icebreaker"), ("gowin", "tang-nano-9k")])
def test_boards_have_what_nextpnr_says(log, board):
    use = read_use((DATA / f"{log}.count.log").read_text(), FAMILIES[log])
    limits = BOARDS[board].limits
    assert {name: entry.available for name, entry in use.items()} == {name: limits[name] for name in use}


def test_clocks():
    assert read_clocks((DATA / "ecp5.report.json").read_text()) == [Clock("clk", 39.18, 80, SLOWEST)]
    two = {"$glbnet$top.fast": {"achieved": 90, "constraint": 80}, "slow": {"achieved": 20, "constraint": 25}}
    found = read_clocks(json.dumps({"fmax": two}))
    assert [(clock.name, clock.met) for clock in found] == [("slow", False), ("fast", True)]


def _path(start: str, end: str, delay: float, cells: tuple[str, str]) -> dict:
    first, last = ({"cell": f"{name}_SB_DFF_Q"} for name in cells)
    step = {"delay": delay / 2}
    return {"from": start, "to": end, "path": [step | {"from": first, "to": last}, step | {"from": first, "to": last}]}


def test_paths_between_edges_and_through_multipliers():
    """Half a cycle for a path between edges; a multiplier without registers is a part of a path, not its end."""
    report = {"fmax": {"clk": {"achieved": 20, "constraint": 12}}, "critical_paths": [
        _path("posedge clk", "posedge clk", 50, ("a", "b")), _path("negedge clk", "posedge clk", 24, ("ram", "c")),
    ]}  # fmt: skip
    assert read_clocks(json.dumps(report)) == [Clock("clk", 20, 12, "a to b")]
    report["critical_paths"][1]["path"][0]["delay"] += 3
    assert read_clocks(json.dumps(report)) == [Clock("clk", 18.52, 12, "ram to c")]
    constant = "posedge $PACKER_GND_NET_$glb_clk"
    report["critical_paths"] += [
        _path("posedge clk", constant, 22, ("d", "product")), _path(constant, "posedge clk", 32.5, ("product", "e")),
    ]  # fmt: skip
    assert read_clocks(json.dumps(report)) == [Clock("clk", 16, 12, "d to product to e")]


def test_refusals():
    with pytest.raises(TridentError, match="does not tell how many TRELLIS_COMB"):
        read_use("", FAMILIES["ecp5"])
    for text in ("", "{}", '{"fmax": {}}', "[]"):
        with pytest.raises(TridentError, match="nextpnr's report has no clocks"):
            read_clocks(text)
