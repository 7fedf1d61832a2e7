"""What differs between FPGA families: commands of the tools, names of cells, shapes of memories."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """How one family of FPGAs is synthesised, placed and packed.

    synthesis: the command of yosys with its options.
    place, pack: names of the tools in :mod:`boards.flow.tools`.
    constraints: ending of the file that Amaranth writes, and constrain: how nextpnr takes it.
    placed: how nextpnr writes its result; placed_name: the file; bitstream: ending of the packed file.
    cells: names under which nextpnr counts lut, ff, bram and dsp; a resource that it does not count apart is missing.
    netlist: how much of each resource a cell of yosys' netlist takes.
    blocks: yosys' kinds of block RAM in its report of memories.
    shapes: (words, bits) that one block RAM can be; ports: how many of a memory's ports one block serves.
    loose_bits: the largest memory that may end in flip-flops, in bits; lut_bits: in lookup tables; lut_words: one of so
        few words may end there however wide it is, because it would leave most of a block RAM empty.
    narrow: the widest addition that is made of lookup tables instead of a carry chain, in bits.
    coarse: commands for yosys before it looks for multipliers itself.
    half_cycle: bits of the smallest memory that is read at once and yet made of block RAMs, see half_cycle.v; 0: none.
    """

    synthesis: str
    place: str
    pack: str
    constraints: str
    constrain: tuple[str, ...]
    placed: tuple[str, ...]
    placed_name: str
    bitstream: str
    cells: dict[str, str]
    netlist: dict[str, dict[str, int]]
    blocks: tuple[str, ...]
    shapes: tuple[tuple[int, int], ...]
    loose_bits: int
    lut_bits: int
    lut_words: int
    narrow: int = 0
    coarse: tuple[str, ...] = ()
    half_cycle: int = 0


FAMILIES = {
    "ecp5": Family(
        # Wider tables than LUT4 are made of several, so without them a design is smaller
        synthesis="synth_ecp5 -nowidelut",
        place="nextpnr-ecp5",
        pack="ecppack",
        constraints=".lpf",
        constrain=("--lpf", "top.lpf"),
        placed=("--textcfg", "placed.config"),
        placed_name="placed.config",
        bitstream=".bit",
        cells={"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "bram": "DP16KD", "dsp": "MULT18X18D"},
        netlist={
            "lut": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
            "ff": {"TRELLIS_FF": 1},
            "bram": {"DP16KD": 1},
            "dsp": {"MULT18X18D": 1},
        },
        blocks=("$__DP16KD_", "$__PDPW16KD_"),
        shapes=((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36)),
        loose_bits=256,
        lut_bits=2048,
        lut_words=32,
        narrow=8,
    ),
    "ice40": Family(
        synthesis="synth_ice40 -device u -dsp",
        place="nextpnr-ice40",
        pack="icepack",
        constraints=".pcf",
        constrain=("--pcf", "top.pcf"),
        placed=("--asc", "placed.asc"),
        placed_name="placed.asc",
        bitstream=".bin",
        cells={"lut": "ICESTORM_LC", "bram": "ICESTORM_RAM", "dsp": "ICESTORM_DSP"},
        netlist={
            "lut": {"SB_LUT4": 1},
            "ff": dict.fromkeys([f"SB_DFF{e}{kind}" for e in ("", "E") for kind in ("", "SR", "SS", "R", "S")], 1),
            "bram": {"SB_RAM40_4K": 1, "SB_RAM40_4KNR": 1},
            "dsp": {"SB_MAC16": 1},
        },
        blocks=("$__ICE40_RAM4K_",),
        shapes=((256, 16), (512, 8), (1024, 4), (2048, 2)),
        loose_bits=128,
        lut_bits=0,
        lut_words=0,
        narrow=6,
        # As synth_ice40 does for products of 11 bits and more
        coarse=(
            "wreduce",
            "techmap -map +/mul2dsp.v -map +/ice40/dsp_map.v -D DSP_A_MAXWIDTH=16 -D DSP_B_MAXWIDTH=16 "
            "-D DSP_A_MINWIDTH=2 -D DSP_B_MINWIDTH=2 -D DSP_Y_MINWIDTH=8 -D DSP_NAME=$__MUL16X16",
        ),
        half_cycle=129,
    ),
    "gowin": Family(
        synthesis="synth_gowin",
        place="nextpnr-himbaechel-gowin",
        pack="gowin_pack",
        constraints=".cst",
        constrain=("--vopt", "cst=top.cst"),
        placed=("--write", "placed.json"),
        placed_name="placed.json",
        bitstream=".fs",
        cells={"lut": "LUT4", "ff": "DFF", "bram": "BSRAM", "dsp": "MULT18X18"},
        netlist={
            "lut": {"LUT1": 1, "LUT2": 1, "LUT3": 1, "LUT4": 1, "ALU": 1, "RAM16SDP4": 8},
            "ff": dict.fromkeys([f"DFF{kind}{e}" for e in ("", "E") for kind in ("", "S", "R", "P", "C")], 1),
            "bram": dict.fromkeys(["DPB", "DPX9B", "SDPB", "SDPX9B", "SPX9", "SP"], 1),
            "dsp": {"MULT18X18": 1},
        },
        blocks=("$__GOWIN_DP_", "$__GOWIN_SDP_", "$__GOWIN_SP_"),
        shapes=((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36)),
        loose_bits=256,
        lut_bits=2048,
        lut_words=32,
    ),
}
