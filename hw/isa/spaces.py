"""The memories that the host reads and writes, and how many bits an element of each has."""

from enum import IntEnum

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.microcode import SCALE_BITS
from trident.hw.isa.optimisers import KEPT, kept_names
from trident.hw.isa.words import WORD

PORTS = 5  # of a router: what an entry of its multicast table has a bit for


class Space(IntEnum):
    """Memories that the host can read and write, and how many bits one element has (see ``space_bits``)."""

    PROGRAM = 0
    JOBS = 1
    WEIGHTS = 2
    MOMENTUM = 3
    GRADIENTS = 4
    SPIKES = 5
    MASKS = 6
    ERRORS = 7
    ERROR_MASKS = 8
    POTENTIALS = 9
    LOSS_TABLE = 10
    REGISTERS = 11
    ROUTES = 12
    FUNCTIONS = 13
    SQUARES = 14
    RAW = 15


def space_bits(cfg: CoreConfig) -> dict[Space, int]:
    """Bits of one element of each memory that a core can have; an element travels as whole flits, lowest bits first."""
    row, word = cfg.row_bits, cfg.spike_bits
    line = 2 * cfg.width + SCALE_BITS if cfg.tables else cfg.width  # without a table, no more than there is anyway
    return {
        Space.PROGRAM: WORD,
        Space.JOBS: WORD,
        Space.WEIGHTS: row,
        Space.MOMENTUM: row,
        Space.GRADIENTS: cfg.sum_row_bits,
        Space.SPIKES: word,
        Space.MASKS: word,
        Space.ERRORS: row,
        Space.ERROR_MASKS: word,
        Space.POTENTIALS: row,
        Space.LOSS_TABLE: cfg.width,
        Space.REGISTERS: WORD,
        Space.ROUTES: PORTS,
        Space.FUNCTIONS: line,
        Space.SQUARES: row,
        **({Space.RAW: row} if raw_spaces(cfg) else {}),
    }


def kept_spaces(cfg: CoreConfig) -> tuple[Space, ...]:
    """Memories of what the optimiser keeps of every parameter."""
    return tuple(Space[KEPT[name].upper()] for name in kept_names(cfg.update_program))


def raw_spaces(cfg: CoreConfig) -> tuple[Space, ...]:
    """The memory beside that of weights: what standardised ones are made of, and of norms the running means and
    variances; none where there is none."""
    return (Space.RAW,) if cfg.standardise or cfg.batch_norm else ()


def trained_spaces(cfg: CoreConfig) -> tuple[Space, ...]:
    """All memories that a training goes on from."""
    return Space.WEIGHTS, *kept_spaces(cfg), *raw_spaces(cfg)


def table_address(cfg: CoreConfig, count: int, target: bool, label: int = 0) -> int:
    """Where the host puts the error of a neuron that fired ``count`` times and is (not) the target, which is
    ``label``; 0 where all labels have one table."""
    return count | target << cfg.loss_bits - 1 | label << cfg.loss_bits
