"""Whether a design fits its part, and the largest mesh that would."""

from trident.boards.devices.design import Design
from trident.boards.devices.families import FAMILIES
from trident.boards.flow.figures import Use
from trident.boards.flow.synthesis import APART, Netlist, amount

NAMES = {"lut": "lookup tables", "ff": "flip-flops", "bram": "block RAMs", "dsp": "multipliers"}


def too_big(use: dict[str, Use]) -> list[str]:
    """For each resource that is short: how many are needed, how many there are, and by how much that is too many."""
    return [
        f"{entry.used:,} {NAMES[name]} of {entry.available:,} ({100 * (entry.share - 1):.0f} % too many)"
        for name, entry in use.items() if entry.used > entry.available
    ]  # fmt: skip


def largest_mesh(design: Design, netlist: Netlist, use: dict[str, Use]) -> tuple[int, int] | None:
    """Columns and rows of the largest mesh of the plan's cores that fits its board, of those as square as can be; None
    if not even one core does.

    Reckoned from the cells of one core with its router, which a hierarchical netlist has apart; a lone core has no
    router, so no mesh can be reckoned from it: then the result is 1x1 or None.
    """
    cores = design.mesh.cores
    if cores == 1:
        return (1, 1) if not too_big(use) else None
    family = FAMILIES[design.board.family]
    within = {}
    for name in use:
        whole = amount(netlist, family, name)
        # A flat netlist has nothing apart: all of it counts for the cores
        within[name] = amount(netlist, family, name, APART) / whole if whole and "core" in netlist.modules else 1
    each = {name: use[name].used * within[name] / cores for name in use}
    rest = {name: use[name].used * (1 - within[name]) for name in use}
    most = min(int((use[name].available - rest[name]) / each[name]) for name in use if each[name])
    sizes = [(width, height) for height in range(1, 9) for width in range(height, 9) if width * height <= most]
    return max(sizes, key=lambda size: (size[0] * size[1], size[1]), default=None)


def sentence(design: Design, netlist: Netlist, use: dict[str, Use]) -> str:
    """What is too much and what would fit, for a design that is too big; empty for one that fits."""
    over = too_big(use)
    if not over:
        return ""
    size = largest_mesh(design, netlist, use)
    fits = f"the largest mesh of such cores that fits is SETUP={size[0]}x{size[1]}" if size else "no such core fits"
    return f"set-up {design.name} is too big for {design.board.name}: it takes {' and '.join(over)}; {fits}"
