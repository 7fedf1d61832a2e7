"""What a user says about the chip: its mesh, and how the network is spread over it."""

from dataclasses import dataclass

from trident.host.mapping.placement import PLACERS
from trident.host.mapping.search import mesh_of
from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig


@dataclass(frozen=True)
class ChipChoice:
    """Texts as a user gives them; None leaves the choice to the compiler.

    size: width and height, as in "5x4"; cores: instead of the size, so many cores; partition: see
    :meth:`Partition.parse`; placer: a name of :data:`PLACERS`; placement: mesh cores of
    the logical cores, as in "3,1,0,2".
    """

    size: str | None = None
    cores: int | None = None
    partition: str | None = None
    placer: str = "anneal"
    placement: str | None = None

    def mesh(self) -> MeshConfig | None:
        """The mesh; None stands for a single core. Raises :class:`TridentError` for what is no mesh."""
        if self.placer not in PLACERS:
            raise TridentError(f"unknown placer {self.placer!r}: choose one of {', '.join(PLACERS)}")
        if self.size is not None and self.cores is not None:
            raise TridentError("give the mesh or the number of cores, not both")
        if self.size is None and self.cores is None:
            return None
        return mesh_of(self.size, self.cores, MeshConfig())

    def check_single(self):
        """Raise :class:`TridentError` for a partition or placement, which a single core has not."""
        if self.partition or self.placement:
            raise TridentError("a partition or a placement needs a mesh of several cores: name it, as in 5x4")
