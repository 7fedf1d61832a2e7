"""Cycles of leaks that neurons learn."""

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.vector_program import Program


def leak_cycles(cfg: CoreConfig, groups: int, program: Program) -> int:
    """Cycles in which what neurons read of their leaks is made for so many groups of channels, one after another."""
    step = cfg.mac_stages + 1
    return groups * (len(program.steps) * step + len(program.tables) + 2)


def tie_cycles(cfg: CoreConfig, groups: int) -> int:
    """Cycles in which the gradients of so many groups of channels become their sum."""
    return groups * (cfg.lanes + 3)
