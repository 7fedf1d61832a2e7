"""The configuration of the network on chip."""

from dataclasses import dataclass, fields, replace

from trident.hw.errors import TridentError
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import space_bits

PHIT = 16  # bits that the controller of a compact core takes and sends at a time

COORDINATE = 3  # bits of a column, and of a row, in a header's 32 bits
PROGRAMMED = 1 << COORDINATE  # columns, and rows, of the largest mesh whose cores are programmed: jobs name them so
BUILT = 16  # of the largest that is built: in wide flits, headers have more bits above their 32
WIDE_FLIT = 64

_LIMITS = {
    "width": (1, 32),
    "height": (1, 32),
    "flit": (32, 512),
    "phit": (0, 512),
    "buffers": (2, 64),
    "packet": (2, 64),
    "channels": (1, 4),
    "groups": (1, 64),
    "outbox": (0, 64),
}


@dataclass(frozen=True)
class MeshConfig:
    """Sizes of the mesh, checked when it is made: :class:`TridentError` names the parameter and the limit.

    width, height: columns and rows of cores; core n sits at x = n mod width, y = n div width. Meshes of more than
        :data:`PROGRAMMED` are not trained on, of more than :data:`BUILT` not built either.
    flit: payload bits of a flit, a power of two.
    phit: payload bits that a link carries in a cycle; a flit goes over it in so many parts. 0: all of it at once.
    buffers: flits that an input of a router holds per virtual channel.
    packet: flits of the longest packet, its header included; an input holds at least one of them (virtual cut-through).
    channels: virtual channels of a link.
    groups: multicast groups whose ports a router remembers.
    outbox: flits that wait at an end of the network for the rest of their packet, at least a packet. 0: as many as cost
        nothing in lookup tables that hold 16 bits, or two packets.
    """

    width: int = 5
    height: int = 4
    flit: int = 32
    phit: int = 0
    buffers: int = 16
    packet: int = 8
    channels: int = 1
    groups: int = 32
    outbox: int = 0

    def __post_init__(self):
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise TridentError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
        if self.flit & (self.flit - 1):
            raise TridentError(f"flit must be a power of two, not {self.flit}")
        if self.phit and (self.phit < 16 or self.flit % self.phit or self.phit & (self.phit - 1)):
            raise TridentError(f"phit must be 0 or a power of two from 16 to flit ({self.flit}), not {self.phit}")
        if self.buffers < self.packet:
            raise TridentError(f"buffers of {self.buffers} cannot hold the longest packet of {self.packet} flits")
        if self.outbox and self.outbox < self.packet:
            raise TridentError(f"outbox of {self.outbox} cannot hold the longest packet of {self.packet} flits")

    @property
    def far_bits(self) -> int:
        """Bits of a column, and of a row, that a header has above its 32: those beyond :data:`COORDINATE`."""
        return max((max(self.width, self.height) - 1).bit_length() - COORDINATE, 0)

    @property
    def position_bits(self) -> int:
        """Bits of a column, and of a row."""
        return COORDINATE + self.far_bits

    def check_built(self):
        """Raise :class:`TridentError` for a mesh that is larger than headers of its packets can say."""
        what = f"a mesh of {self.width}x{self.height}"
        if max(self.width, self.height) > BUILT:
            raise TridentError(f"{what} is for forecasts: hardware is generated for up to {BUILT}x{BUILT} cores")
        if self.far_bits and (self.flit < WIDE_FLIT or self.phit):
            raise TridentError(
                f"{what} needs flits of at least {WIDE_FLIT} bits that a link carries at once: a header of 32 bits "
                f"finds its way on up to {PROGRAMMED}x{PROGRAMMED} cores"
            )

    def check_programmed(self):
        """Raise :class:`TridentError` for a mesh that is larger than jobs can say."""
        if self.far_bits:
            raise TridentError(
                f"a mesh of {self.width}x{self.height} is for forecasts: jobs name cores of up to "
                f"{PROGRAMMED}x{PROGRAMMED}"
            )

    @property
    def link_bits(self) -> int:
        """Payload bits of a link."""
        return self.phit or self.flit

    @property
    def phits(self) -> int:
        """Parts of a flit."""
        return self.flit // self.link_bits

    @property
    def link_places(self) -> int:
        """Phits that an input of a router holds per virtual channel."""
        return self.buffers * self.phits

    @property
    def link_packet(self) -> int:
        """Phits of the longest packet."""
        return self.packet * self.phits

    @property
    def cores(self) -> int:
        return self.width * self.height

    def position(self, core: int) -> tuple[int, int]:
        """(x, y) of a core."""
        return core % self.width, core // self.width

    @classmethod
    def preset(cls, name: str, **changes) -> "MeshConfig":
        """A named network with some parameters changed. Raises TridentError for a name or key it does not know."""
        if name.upper() not in PRESETS:
            raise TridentError(f"unknown network preset {name!r}: choose one of {', '.join(PRESETS)}")
        known = {field.name for field in fields(cls)}
        for key in changes:
            if key not in known:
                raise TridentError(f"unknown network parameter {key!r}: choose one of {', '.join(sorted(known))}")
        return replace(PRESETS[name.upper()], **changes)


PRESETS = {
    "FPGA": MeshConfig(),
    "FAST": MeshConfig(buffers=32, channels=4, groups=64),
}


def mesh_for(cfg: CoreConfig, mesh: MeshConfig | None = None) -> MeshConfig:
    """``mesh``, or one core, with packets and buffers that are long enough for the core's memories."""
    mesh = mesh or MeshConfig(width=1, height=1)
    needed = 1 + max(-(-bits // mesh.flit) for bits in space_bits(cfg).values())
    packet = max(mesh.packet, 1 << (needed - 1).bit_length())
    if mesh.far_bits and not cfg.shared_engine:
        mesh = replace(mesh, flit=max(mesh.flit, WIDE_FLIT))
    if cfg.shared_engine:  # a controller takes and sends 16 bits at a time, and is slower than any link
        return replace(mesh, phit=PHIT, packet=packet, buffers=packet)
    return replace(mesh, packet=packet, buffers=max(mesh.buffers, packet))
