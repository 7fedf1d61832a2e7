"""The netlist check: what synthesis gives to nextpnr trains as golden does, bit for bit.

The netlist of the whole top is simulated by Verilator, with yosys' own models of the cells of an ECP5 or an iCE40, and
those under boards/models of what yosys leaves black. The host's driver trains over the serial line at its pins.
"""

import json
import re
import time
from dataclasses import dataclass

import numpy as np

from trident.boards.devices.design import Design
from trident.boards.flow.cells import KNOWN, PIN_INPUT, YOSYS_CELLS, check_cells, own_models, yosys_models
from trident.boards.flow.emit import platform_of
from trident.boards.flow.flow import Flow
from trident.boards.flow.stages import Stages
from trident.boards.flow.tools import Tool
from trident.host.driver.serial_link import SerialLink
from trident.host.train.step_bench import Mismatch, StepBench
from trident.hw.errors import TridentError
from trident.hw.files import only_one, write_whole
from trident.sim.golden.constants import UpdateConstants
from trident.sim.rtl.line import SimulatedLine
from trident.snn.network.network import Network
from trident.snn.neuron_settings import NeuronSettings

NETWORK = "6-4-2"
SAMPLES = 3
TRANSLATE = "translate"
BUILT_IN = "$scopeinfo"  # where yosys keeps the names of modules that it has dissolved
LOSS_SCALE = 256
# Ports of Verilog have one direction, so pins get theirs by name. Yosys puts its models in place of the cells, each
# simplified by itself first, as there are few different ones: that makes Verilator's work half
SCRIPT = f"""\
read_json directed.json
delete t:{BUILT_IN}
chtype -set TRELLIS_IO_INPUT t:TRELLIS_IO r:DIR=INPUT %i
chtype -set TRELLIS_IO_OUTPUT t:TRELLIS_IO r:DIR=OUTPUT %i
delete =A:blackbox
read_verilog cells.v
hierarchy -top top
proc
simplemap t:$mux
opt -mux_bool -full A:hdlname
flatten
rename -hide top/w:* w:*__io %d
opt_clean -purge
write_verilog -noattr netlist.v
"""


@dataclass(frozen=True)
class Checked:
    """A check that has been made.

    network, samples: what was trained; values: weights and biases that were compared, and as many momenta and
    gradients; cycles: of the design's clock; seconds: of wall time for them; mismatch: the first difference from
    golden, or None.
    """

    network: str
    samples: int
    values: int
    cycles: int
    seconds: float
    mismatch: Mismatch | None


def read_cells(netlist: str) -> dict[str, dict]:
    """The cells, by name, of the module ``top`` of yosys' JSON; raises :class:`TridentError` where it is in parts."""
    modules = json.loads(netlist)["modules"]
    parts = [name for name, module in modules.items() if "blackbox" not in module["attributes"] and name != "top"]
    if parts:
        raise TridentError(f"the netlist check takes a flat netlist, this one has the modules {', '.join(parts)}")
    return {name: cell for name, cell in modules["top"]["cells"].items() if cell["type"] != BUILT_IN}


def directed(netlist: str) -> str:
    """The netlist of an iCE40 with one direction for each pin: its cell SB_IO has it in its name, and the port."""
    found = json.loads(netlist)
    top, inputs = found["modules"]["top"], set()
    for cell in top["cells"].values():
        if cell["type"] in ("SB_IO", "SB_GB_IO"):
            reads = int(cell["parameters"]["PIN_TYPE"], 2) == PIN_INPUT
            inputs.update(cell["connections"]["PACKAGE_PIN"] if reads else [])
            if cell["type"] == "SB_IO":
                cell["type"] = "SB_IO_INPUT" if reads else "SB_IO_OUTPUT"
    for port in top["ports"].values():
        if port["direction"] == "inout":
            port["direction"] = "input" if inputs.issuperset(port["bits"]) else "output"
    return json.dumps(found)


def translate(stages: Stages, yosys: Tool, family: str = "ecp5") -> tuple[str, int]:
    """Verilog of the netlist.json in the folder of ``stages`` and of its cells, top ``top``, and how many cells.

    Raises what :func:`read_cells`, :func:`check_cells` and :func:`yosys_models` raise.
    """
    folder = stages.folder
    netlist = (folder / "netlist.json").read_text()
    cells = read_cells(netlist)
    check_cells(cells)
    kinds = {cell["type"] for cell in cells.values()}
    write_whole(folder / "translate.ys", SCRIPT)
    write_whole(folder / "directed.json", directed(netlist) if family == "ice40" else netlist)
    write_whole(folder / "cells.v", yosys_models(kinds - set(KNOWN), family))
    inputs = [folder / name for name in ("translate.ys", "cells.v", "directed.json")]
    stages.run(TRANSLATE, yosys, ("translate.ys",), inputs, ("netlist.v", "translate.log"))
    return f"{own_models(kinds)}\n{(folder / 'netlist.v').read_text()}", len(cells)


def netlist_verilog(flow: Flow) -> tuple[str, int]:
    """Synthesise, unless that is done, and :func:`translate`.

    Raises what that raises and :meth:`Flow.synthesised`, and :class:`TridentError` for a family whose cells
    have no models here.
    """
    board = flow.design.board
    if board.family not in YOSYS_CELLS:
        raise TridentError(
            f"the netlist check has models of the cells of {' and '.join(YOSYS_CELLS)}, {board.name} has those of "
            f"{board.family}"
        )
    flow.synthesised()
    with only_one(flow.folder):
        return translate(flow.stages, flow.tools["yosys"], board.family)


def netlist_line(design: Design, verilog: str, flags: tuple[str, ...] = ("-O1",)) -> SimulatedLine:
    """The pins of the host's line of a netlist, simulated; ``flags`` go to the compiler. Building takes a minute or
    two, the first time.

    Raises :class:`TridentError` for a top with inputs beside a clock and that line.
    """
    header = re.search(r"^module top\((.*?)\);", verilog, re.MULTILINE | re.DOTALL)
    ports = [name.strip(" \n\\") for name in header[1].split(",")]
    inputs = [name for name in ports if re.search(rf"^ +input \\?{name} ?;", verilog, re.MULTILINE)]
    board, platform = design.board, platform_of(design.board)
    rx, tx = _port(board.rx), _port(board.tx)
    lamps = {name: _port(board.leds[name]) for name in ("busy", "error")}
    dark = {name: int(_inverted(platform, board.leds[name])) for name in lamps}  # what a lamp's pin is when it is off
    clocks = [name for name in inputs if name != rx]
    if len(clocks) != 1:
        raise TridentError(f"the netlist check plays a clock and a line, this top has the inputs {', '.join(inputs)}")
    pins = {clocks[0]: "clk", rx: "rx", tx: "tx"} | {port: f"{name}_pin" for name, port in lamps.items()}
    wrapper = (
        "\nmodule board(input clk, rst, rx, output tx, busy, error);\n  wire busy_pin, error_pin;\n"
        f"  assign busy = busy_pin ^ 1'b{dark['busy']}, error = error_pin ^ 1'b{dark['error']};\n"
        f"  top top({', '.join(f'.{pin}({name})' for pin, name in pins.items())});\nendmodule\n"
    )
    return SimulatedLine(verilog + wrapper, "board", design.clock_hz, board.baud, flags)


def _port(path: str) -> str:
    """The top's port of a pin by its path, as in ``uart.0.rx``."""
    name, number, *part = path.split(".")
    return "__".join([f"{name}_{number}", *part, "io"])


def _inverted(platform, path: str) -> bool:
    """Whether low means 1 at a pin by its path."""
    name, number, *part = path.split(".")
    resource = platform.lookup(name, int(number))
    ios = resource.ios[0] if not part else next(sub for sub in resource.ios if sub.name == part[0]).ios[0]
    return ios.invert


def check(design: Design, line: SimulatedLine, network: str = NETWORK, samples: int = SAMPLES) -> Checked:
    """Train one minibatch of random samples over the line and on golden, and compare every memory that holds a result.

    The samples run twice, see :meth:`StepBench.step`. Raises what the host's link raises when the design does
    not answer, or stops.
    """
    began, cfg = time.monotonic(), design.cfg
    net, rng = Network.parse(network), np.random.default_rng(1)
    link = SerialLink(line, cfg, design.mesh)
    bench = StepBench(net, NeuronSettings.of(cfg), cfg, link, mesh=design.mesh)
    spikes = (rng.random((samples, cfg.timesteps, *net.in_shape)) < 0.6).astype(np.uint8)
    constants = UpdateConstants.of(0.9, 0.5 / (LOSS_SCALE * samples), samples, cfg.format)
    mismatch, _ = bench.step(spikes, rng.integers(0, net.classes, samples), constants, LOSS_SCALE)
    return Checked(network, samples, net.weights, line.cycles, time.monotonic() - began, mismatch)
