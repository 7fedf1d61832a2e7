"""What a user says about the chip: its mesh, and how the network is spread over it."""

from dataclasses import dataclass, field

from trident.host.mapping.placement import Placing
from trident.host.mapping.search import mesh_of
from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig


@dataclass(frozen=True)
class ChipChoice:
    """Texts as a user gives them; None leaves the choice to the compiler.

    size: width and height, as in "5x4"; cores: instead of the size, so many cores; partition: see
    :meth:`Partition.parse`; placing: where the cores sit.
    """

    size: str | None = None
    cores: int | None = None
    partition: str | None = None
    placing: Placing = field(default_factory=Placing)

    def mesh(self, programmed: bool = True) -> MeshConfig | None:
        """The mesh; None stands for a single core. Raises :class:`TridentError` for what is no mesh, or one whose cores
        cannot be ``programmed``."""
        self.placing.check()
        if self.size is not None and self.cores is not None:
            raise TridentError("give the mesh or the number of cores, not both")
        if self.size is None and self.cores is None:
            return None
        mesh = mesh_of(self.size, self.cores, MeshConfig())
        if programmed:
            mesh.check_programmed()
        return mesh

    def check_single(self):
        """Raise :class:`TridentError` for a partition or placement, which a single core has not."""
        if self.partition or self.placing.placement:
            raise TridentError("a partition or a placement needs a mesh of several cores: name it, as in 5x4")
