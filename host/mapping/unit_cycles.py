"""Cycles of the units that run one job after another: update, pool, drop, loss and reduce."""

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.dropout import ROUNDS


def update_cycles(cfg: CoreConfig) -> int:
    """Cycles per row of weights: one for every step of the optimiser's program."""
    return len(cfg.update_program.steps)


def pool_cycles(size: int) -> int:
    """Cycles per word of windows whose sides have so many pixels."""
    return 2 * size**2 + 1


def drop_cycles(size: int) -> int:
    """Cycles per word of neurons, or of windows of them whose sides have so many pixels, in training."""
    return ROUNDS + size**2


def loss_cycles(groups: int, lanes: int, steps: int, neuron: int, voters: int = 1) -> int:
    """Cycles of loss and neuron_grad for so many groups of classes; ``neuron``: those from a neuron's timestep to its
    next one; ``voters``: of a class."""
    return groups * (voters * (lanes + 2 + steps * neuron) + 1)


def softmax_cycles(groups: int, lanes: int, step: int, voters: int = 1) -> int:
    """Cycles that a softmax takes before there are errors, in all groups; ``step``: those of a program's step."""
    return 2 * groups * voters * (lanes + 2) + (groups + 2) * (step + 1)


def reduce_cycles(room: int, entering: int, flits: int) -> float:
    """Cycles per row in which summed gradients leave.

    room: flits of a packet behind its header; entering: cycles in which a row goes into a packet; flits: of a row.
    """
    rows = max(room // flits, 1)
    return entering + (flits * rows + 2) / rows
