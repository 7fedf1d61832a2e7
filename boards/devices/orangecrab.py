"""OrangeCrab r0.2 by Greg Davill: ECP5-85 of the fastest grade. Its USB goes straight to the FPGA."""

from trident.boards.devices.board import Board, Pin, SetUp

_ONE = SetUp(1, 1, clock_hz=80_000_000, place=("--router", "router2"))
_MESH = SetUp(
    5, 4, clock_hz=48_000_000, preset="COMPACT", hierarchical=True,
    place=("--placer", "static", "--router", "router2"),
)  # fmt: skip

BOARDS = (
    Board(
        name="orangecrab-85f",
        title="OrangeCrab r0.2 85F",
        platform="amaranth_boards.orangecrab_r0_2:OrangeCrabR0_2_85FPlatform",
        family="ecp5",
        part="LFE5U-85F-8MG285C",
        limits={"lut": 83640, "ff": 83640, "bram": 208, "dsp": 156},
        crystal_hz=48_000_000,
        setups={"core": _ONE, "mesh20": _MESH, "federated": _MESH, "mesh": _MESH},
        nextpnr=("--85k", "--package", "CSFBGA285", "--speed", "8"),
        pack=("--compress", "--freq", "38.8"),
        leds={"heartbeat": "rgb_led.0.g", "busy": "rgb_led.0.b", "error": "rgb_led.0.r"},
        rx="host_rx.0",
        tx="host_tx.0",
        pins=(
            Pin("host_rx", "0", "i", ("io", 0), attributes={"IO_TYPE": "LVCMOS33", "PULLMODE": "UP"}),
            Pin("host_tx", "1", "o", ("io", 0), attributes={"IO_TYPE": "LVCMOS33"}),
        ),
        loader="orangeCrab",
        note="no serial line over USB: the host link is on pins 0 (to the FPGA) and 1 (from it), 3.3 V, for an adapter",
    ),
)
