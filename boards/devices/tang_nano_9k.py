"""Tang Nano 9K by Sipeed: GW1NR-9C, BL702 serial line over USB."""

from trident.boards.devices.board import Board, SetUp

# A core of the preset FPGA takes more lookup tables than there are; this one leaves block RAM for weights
_ONE = SetUp(1, 1, clock_hz=27_000_000, preset="COMPACT", core={"weight_rows": 4096})

BOARDS = (
    Board(
        name="tang-nano-9k",
        title="Tang Nano 9K",
        platform="amaranth_boards.tang_nano_9k:TangNano9kPlatform",
        family="gowin",
        part="GW1NR-LV9QN88PC6/I5",
        limits={"lut": 8640, "ff": 6480, "bram": 26, "dsp": 20},
        crystal_hz=27_000_000,
        setups={"core": _ONE, "federated": _ONE, "mesh": _ONE},
        nextpnr=("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
        pack=("-d", "GW1N-9C", "--sspi_as_gpio", "--mspi_as_gpio"),
        leds={"heartbeat": "led.0", "busy": "led.1", "error": "led.2"},
        baud=2_000_000,
        loader="tangnano9k",
    ),
)
