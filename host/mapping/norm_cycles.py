"""Cycles of batch norms, of sums that are added, and of neurons that fire on sums that have been kept."""

from trident.host.mapping.standardise_cycles import pass_cycles
from trident.hw.isa.batch_norm import backward_passes, forward_passes, frozen_passes
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.vector_program import Program

_PARAMETERS = 10  # cycles in which a group's rows of parameters are read and written


def norm_cycles(
    cfg: CoreConfig, rows: int, groups: int, backward: bool, frozen: bool = False, merging: float = 0.0
) -> float:  # fmt: skip
    """Cycles of a norm job in training, of a minibatch with so many rows in each group of channels: of the sums, with
    ``frozen`` statistics or not, or, ``backward``, of the errors; ``merging``: those in which sums go around the copies
    of a network."""
    passes = backward_passes() if backward else frozen_passes() if frozen else forward_passes()
    merged = sum(bool(step.rows and step.then) for step in passes)
    return groups * (sum(pass_cycles(cfg, step, rows) for step in passes) + merged * merging + _PARAMETERS)


def add_cycles(cfg: CoreConfig, words: int) -> int:
    """Cycles in which so many words of sums, or of errors, are added to others."""
    return 2 * cfg.timesteps * words + cfg.mac_stages + 2


def fire_cycles(cfg: CoreConfig, words: int, program: Program, recurrence: int) -> int:
    """Cycles of a sample's neurons in so many words: their steps, or ``recurrence`` for each where there are few."""
    steps, items = len(program.steps), cfg.items("forward")
    blocks = [items] * (words // items) + [words % items] * (words % items > 0)
    return sum(cfg.timesteps * steps * max(block, recurrence) for block in blocks) + 4
