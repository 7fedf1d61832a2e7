"""Which core a configuration asks for."""

from trident.hw.compact.core import ControlledCore
from trident.hw.core.core import Core
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.mesh import MeshConfig


def make_core(cfg: CoreConfig, mesh: MeshConfig) -> Core | ControlledCore:
    """A core of units, or, with ``shared_engine``, a small one with a controller; both have the same ports."""
    return (ControlledCore if cfg.shared_engine else Core)(cfg, mesh)
