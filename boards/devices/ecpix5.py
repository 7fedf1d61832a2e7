"""ECPIX-5 by LambdaConcept: ECP5-85 of the fastest grade, FT2232H serial line over USB."""

from trident.boards.devices.board import FAST_CORE, Board, SetUp

_ONE = SetUp(1, 1, clock_hz=80_000_000, place=("--router", "router2"))
_MESH = SetUp(
    5, 4, clock_hz=50_000_000, preset="COMPACT", hierarchical=True,
    place=("--placer", "static", "--router", "router2"),
)  # fmt: skip
_FAST = SetUp(1, 1, clock_hz=50_000_000, core=FAST_CORE, place=_MESH.place)

BOARDS = (
    Board(
        name="ecpix5-85",
        title="ECPIX-5 85",
        platform="amaranth_boards.ecpix5:ECPIX585Platform",
        family="ecp5",
        part="LFE5UM5G-85F-8BG554I",
        limits={"lut": 83640, "ff": 83640, "bram": 208, "dsp": 156},
        crystal_hz=100_000_000,
        setups={"core": _ONE, "fast": _FAST, "mesh20": _MESH, "federated": _MESH, "mesh": _MESH},
        nextpnr=("--um5g-85k", "--package", "CABGA554", "--speed", "8"),
        pack=("--compress",),
        leds={"heartbeat": "rgb_led.0.g", "busy": "rgb_led.1.b", "error": "rgb_led.2.r"},
        reset="rst.0",
        loader="ecpix5",
    ),
)
