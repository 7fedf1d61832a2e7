"""Which core a configuration asks for."""

from hw.config import CoreConfig
from hw.controller.core import ControlledCore
from hw.core import Core
from hw.noc.config import MeshConfig


def make_core(cfg: CoreConfig, mesh: MeshConfig) -> Core | ControlledCore:
    """A core of units, or, with ``shared_engine``, a small one with a controller; both have the same ports."""
    return (ControlledCore if cfg.shared_engine else Core)(cfg, mesh)
