"""How many bits an element of each of a core's memories has."""

from hw.config import CoreConfig
from hw.layouts import WORD, Space

PORTS = 5  # of a router: what an entry of its multicast table has a bit for


def space_bits(cfg: CoreConfig) -> dict[Space, int]:
    """Bits of one element of each memory; an element travels as whole flits, lowest bits first."""
    row, word = cfg.row_bits, cfg.spike_bits
    return {
        Space.PROGRAM: WORD,
        Space.JOBS: WORD,
        Space.WEIGHTS: row,
        Space.MOMENTUM: row,
        Space.GRADIENTS: row,
        Space.SPIKES: word,
        Space.MASKS: word,
        Space.ERRORS: row,
        Space.ERROR_MASKS: word,
        Space.POTENTIALS: row,
        Space.LOSS_TABLE: cfg.width,
        Space.REGISTERS: WORD,
        Space.ROUTES: PORTS,
    }
