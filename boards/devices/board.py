"""What a board is to the flow: the part, the pins of the host link and the LEDs, and what is built for it."""

from dataclasses import dataclass, field

from trident.hw.isa.frames import BUFFER

RESOURCES = ("lut", "ff", "bram", "dsp")


@dataclass(frozen=True)
class Pin:
    """A resource that is added to those of amaranth-boards: one pin, of a connector or of the package.

    name: the resource's; pin: the connector's pin, or the package's where there is no connector.
    direction: "i" or "o"; connector: name and number, as amaranth-boards has them; inverted: low means 1.
    attributes: of the pin, as the vendor's platform takes them.
    """

    name: str
    pin: str
    direction: str
    connector: tuple[str, int] | None = None
    inverted: bool = False
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SetUp:
    """One design for a board.

    width, height: the mesh; clock_hz: of all the logic, in Hz.
    preset: of the core, if it is not the board's; core: changes of it; network: changes of the network's preset FPGA.
    synthesis: more options of yosys' synth command; hierarchical: a core is synthesised once and placed many times,
        which is quicker and about a tenth larger.
    place: more options of nextpnr; seed: of the placement, if the user gives none.
    buffer: bytes of each of the link's two buffers.
    """

    width: int
    height: int
    clock_hz: int
    preset: str | None = None
    core: dict[str, int | str | bool] = field(default_factory=dict)
    network: dict[str, int] = field(default_factory=dict)
    synthesis: tuple[str, ...] = ()
    hierarchical: bool = False
    place: tuple[str, ...] = ()
    seed: int = 1
    buffer: int = BUFFER


# One core with the lanes and columns that train the default network of many cores in the fewest predicted cycles, and
# with exact gradients: docs/decisions.md has the figures
FAST_CORE = {
    "lanes": 4, "backward_cols": 4, "weight_grad_cols": 2, "words": 4, "gradient_bits": 48, "prefetch_jobs": False,
    "jobs": 64, "program_words": 128, "weight_rows": 2048, "spike_words": 4096, "error_words": 2048,
}  # fmt: skip


@dataclass(frozen=True)
class Board:
    """A board that bitstreams are built for.

    name: what ``BOARD=`` takes; title: for people.
    platform: import path of its class in amaranth-boards; family: a name in :mod:`boards.family`; part: the FPGA's.
    limits: what the part has of lut, ff, bram and dsp, as nextpnr counts them.
    crystal_hz: frequency of the platform's default clock; a set-up with another clock takes a PLL.
    preset: of :class:`CoreConfig`.
    setups: by name; "mesh" is what any other mesh (``SETUP=WxH``) starts from.
    nextpnr, pack: options that name the part to nextpnr and to the packer.
    leds: resource of heartbeat, busy and error, as in ``led.0`` or ``rgb_led.0.r``; a board may lack some.
    rx, tx: resources of the host's serial line, to and from the FPGA; baud: bits per second of that line.
    pins: resources that are added; reset: resource of a button that resets, if there is one.
    loader: name of the board for openFPGALoader; note: a sentence for users.
    """

    name: str
    title: str
    platform: str
    family: str
    part: str
    limits: dict[str, int]
    crystal_hz: int
    setups: dict[str, SetUp]
    nextpnr: tuple[str, ...]
    leds: dict[str, str]
    loader: str
    preset: str = "FPGA"
    pack: tuple[str, ...] = ()
    rx: str = "uart.0.rx"
    tx: str = "uart.0.tx"
    baud: int = 3_000_000
    pins: tuple[Pin, ...] = ()
    reset: str = ""
    note: str = ""
