"""A placement: the core of the mesh that each logical core sits on."""

from trident.hw.errors import TridentError
from trident.hw.isa.mesh import MeshConfig

Placement = tuple[int, ...]


def check_placement(placement: Placement, cores: int, mesh: MeshConfig) -> Placement:
    """The same placement. Raises :class:`TridentError` unless it gives every logical core a mesh core of its own."""
    if len(placement) != cores:
        raise TridentError(f"a placement of {cores} cores names {cores} mesh cores, not {len(placement)}")
    seen: dict[int, int] = {}
    for logical, core in enumerate(placement):
        if not 0 <= core < mesh.cores:
            raise TridentError(
                f"the placement puts core {logical} on mesh core {core}, but the mesh {mesh.width}x{mesh.height} has "
                f"cores 0 to {mesh.cores - 1}"
            )
        if core in seen:
            raise TridentError(f"the placement names mesh core {core} twice, for cores {seen[core]} and {logical}")
        seen[core] = logical
    return tuple(placement)
