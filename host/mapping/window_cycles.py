"""Cycles of windows, of sums or of spikes, of which is kept which pixel is the largest."""

import numpy as np

from trident.hw.isa.config import CoreConfig
from trident.hw.isa.vector_program import Program
from trident.snn.network.windows import Windows


def join_cycles(windows: Windows, words: int) -> int:
    """Cycles in which so many words of windows are joined: one for each pixel."""
    return words * windows.size**2 + 1


def window_cycles(cfg: CoreConfig, windows: Windows, words: int) -> int:
    """Cycles in which the largest sums of so many words of windows are found: one for each pixel's row."""
    return words * windows.size**2 * cfg.timesteps + 1


def spread_cycles(
    cfg: CoreConfig, windows: Windows, shape: tuple[int, int, int], groups: int, program: Program | None = None,
    recurrence: int = 0,
) -> int:  # fmt: skip
    """Cycles in which errors go to the pixels of an image of ``shape``, of so many groups of channels: of a row one for
    each window that its pixel is in. Behind joined spikes they go through the ``program`` of their neurons, whose next
    step may begin after ``recurrence`` cycles."""
    down, along = (_windows(windows, pixels) for pixels in shape[:2])
    reads = np.repeat(np.outer(down, along).ravel(), groups)  # of a word at a timestep
    ends = 2 + (cfg.overlap and 2 + cfg.round_stages)  # behind the last read
    if program is None:
        return int(reads.sum()) * cfg.timesteps + ends
    items, steps = cfg.items("backward"), len(program.steps)
    blocks = [reads[first : first + items] for first in range(0, len(reads), items)]
    taken = sum(max(int(own.sum()), steps * max(len(own), recurrence)) for own in blocks)
    return taken * cfg.timesteps + ends + steps * recurrence


def _windows(windows: Windows, pixels: int) -> np.ndarray:
    """Of each pixel along a side, how many windows are tried for it: those that it would be in if there were more
    pixels on both sides; at least one."""
    places = (np.arange(pixels) + windows.padding) % windows.stride
    return np.maximum(-(-(windows.size - places) // windows.stride), 1)
