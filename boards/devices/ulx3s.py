"""ULX3S by Radiona: ECP5 of four sizes, FT231X serial line over USB."""

from dataclasses import replace

from trident.boards.devices.board import FAST_CORE, Board, SetUp

_ONE = SetUp(1, 1, clock_hz=75_000_000, place=("--router", "router2"), seed=2)
_MESH = SetUp(
    5, 4, clock_hz=40_000_000, preset="COMPACT", hierarchical=True,
    place=("--placer", "static", "--router", "router2"),
)  # fmt: skip
_FAST = SetUp(1, 1, clock_hz=40_000_000, core=FAST_CORE, place=_MESH.place)
# The quickest to build: a core of 7-bit floats with hardly any memory, to try the tools and the board with;
# it trains 6-4-2
_SMALL = SetUp(
    1, 1, clock_hz=25_000_000, place=("--no-tmdriv", "--router", "router2"),
    core={
        "exp": 4, "frac": 2, "timesteps": 1, "accumulators": 4, "accumulator_bits": 24, "mul_stages": 1,
        "round_stages": 1, "weight_rows": 64, "spike_words": 64, "error_words": 64, "jobs": 32, "program_words": 64,
    },
    network={"packet": 2, "buffers": 2},
)  # fmt: skip


def _ulx3s(size: str, limits: dict[str, int], federated: tuple[int, int], **setups: SetUp) -> Board:
    width, height = federated
    worker = replace(_MESH, width=width, height=height, hierarchical=width * height > 1)
    return Board(
        name=f"ulx3s-{size.lower()}",
        title=f"ULX3S {size}",
        platform=f"amaranth_boards.ulx3s:ULX3S_{size}_Platform",
        family="ecp5",
        part=f"LFE5U-{size}-6BG381C",
        limits=limits,
        crystal_hz=25_000_000,
        setups={"core": _ONE, **setups, "federated": worker, "small": _SMALL, "mesh": _MESH},
        nextpnr=(f"--{size[:2]}k", "--package", "CABGA381", "--speed", "6"),
        pack=("--compress",),
        leds={"heartbeat": "led.0", "busy": "led.1", "error": "led.2"},
        loader="ulx3s",
    )


# The 12F has the same die as the 25F, and nextpnr uses all of it
BOARDS = (
    _ulx3s("85F", {"lut": 83640, "ff": 83640, "bram": 208, "dsp": 156}, (5, 4), fast=_FAST, mesh20=_MESH),
    _ulx3s("45F", {"lut": 43848, "ff": 43848, "bram": 108, "dsp": 72}, (5, 2)),
    _ulx3s("25F", {"lut": 24288, "ff": 24288, "bram": 56, "dsp": 28}, (5, 1)),
    _ulx3s("12F", {"lut": 24288, "ff": 24288, "bram": 56, "dsp": 28}, (5, 1)),
)
