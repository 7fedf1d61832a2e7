"""iCEBreaker by 1BitSquared: iCE40UP5K, FT2232H serial line over USB."""

from dataclasses import replace

from trident.boards.devices.board import Board, Pin, SetUp

# Lookup tables hold no memory here, so every small buffer costs flip-flops or one of the 30 block RAMs of 4 kbit
_ONE = SetUp(
    1, 1, clock_hz=12_000_000, preset="COMPACT",
    core={
        "timesteps": 4, "accumulators": 4, "weight_rows": 255, "spike_words": 128, "error_words": 64, "jobs": 17,
        "program_words": 50, "accumulator_bits": 47, "mul_stages": 1, "round_stages": 1, "prefetch_jobs": False,
        "standalone": True,
    },
    network={"packet": 2, "buffers": 2, "outbox": 2}, buffer=512,
)  # fmt: skip

BOARDS = (
    Board(
        name="icebreaker",
        title="iCEBreaker",
        platform="amaranth_boards.icebreaker:ICEBreakerPlatform",
        family="ice40",
        part="iCE40UP5K-SG48",
        limits={"lut": 5280, "ff": 5280, "bram": 30, "dsp": 8},
        crystal_hz=12_000_000,
        setups={"core": _ONE, "federated": _ONE, "mesh": replace(_ONE, core=_ONE.core | {"standalone": False})},
        nextpnr=("--up5k", "--package", "sg48"),
        leds={"heartbeat": "led_g.0", "busy": "led_busy.0", "error": "led_r.0"},
        pins=(Pin("led_busy", "3", "o", ("pmod", 2), attributes={"IO_STANDARD": "SB_LVCMOS"}),),
        baud=1_000_000,
        loader="ice40_generic",
    ),
)
