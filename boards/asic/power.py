"""What a unit of standard cells takes: area, and energy of what it did."""

from dataclasses import dataclass

import numpy as np

from trident.boards.asic.liberty import Library
from trident.boards.asic.netlist import Gates, Run


@dataclass(frozen=True)
class Taken:
    """What a unit takes.

    equivalents: area in gate equivalents; flip_flops, gates: how many; clock: energy in pJ of flip-flops' clocks and of
    what gates them; data: of everything else; leakage: in µW.
    """

    equivalents: float
    flip_flops: int
    gates: int
    clock: float
    data: float
    leakage: float

    @property
    def energy(self) -> float:
        """pJ."""
        return self.clock + self.data


def priced(unit: Gates, run: Run, library: Library) -> Taken:
    """Area of a unit, and the energy of a run.

    A transition of a net takes what the library says for the cell that drives it, half of C·V² for the inputs that it
    drives, and what those take by themselves. The clock of flip-flops that share an enable goes through a flip-flop of
    the falling edge and an AND, and so does that of a unit whose clock stops. Wires and the tree of the clock are left
    out. Raises :class:`TridentError` for a library without a flip-flop or an AND.
    """
    cells = [library.cells[name] for name in unit.cells]
    flip_flop, falling, conjunction = library.flip_flop(), library.flip_flop(falling=True), library.conjunction
    square = library.voltage**2
    load, passive = np.zeros(unit.nets), np.zeros(unit.nets)
    for cell, pins in zip(cells, unit.pins.tolist(), strict=True):
        for net, (pin, capacitance) in zip(pins, cell.inputs.items(), strict=False):
            load[net] += capacitance
            passive[net] += cell.passive[pin]
    (data,) = (pin for pin in flip_flop.inputs if pin != flip_flop.clock)
    np.add.at(load, unit.data, flip_flop.inputs[data])
    np.add.at(passive, unit.data, flip_flop.passive[data])
    (enable,) = (pin for pin in falling.inputs if pin != falling.clock)
    load[unit.gated] += falling.inputs[enable]
    passive[unit.gated] += falling.passive[enable]

    switching = np.zeros(unit.nets)
    for cell, net in zip(cells, unit.driven.tolist(), strict=True):
        switching[net] = cell.switching.at(load[net])
    for net in unit.states.tolist():
        switching[net] = flip_flop.switching.at(load[net])
    changes = float(run.changes @ (switching + passive + load * square / 2))

    def cycle(cell) -> float:
        """Of its clock's two transitions."""
        return 2 * cell.passive[cell.clock] + cell.inputs[cell.clock] * square

    clocked = float(run.enabled.sum()) * cycle(flip_flop)
    first = next(iter(conjunction.inputs.values()))
    for net in unit.gated.tolist():
        of_net = unit.enables == net
        often, load_of_clock = run.enabled[of_net][0], of_net.sum() * flip_flop.inputs[flip_flop.clock]
        clocked += run.clocked * (cycle(falling) + first * square)
        clocked += often * 2 * conjunction.switching.at(load_of_clock)
    gates = len(unit.gated) + run.stops
    if run.stops:
        clocked += run.cycles * (cycle(falling) + first * square)
        clocked += run.clocked * 2 * conjunction.switching.at(0)
    gating = gates * (falling.area + conjunction.area)
    area = sum(cell.area for cell in cells) + len(unit.states) * flip_flop.area + gating
    leakage = sum(cell.leakage for cell in cells) + len(unit.states) * flip_flop.leakage
    leakage += gates * (falling.leakage + conjunction.leakage)
    return Taken(
        area / library.nand.area, len(unit.states) + gates, len(cells) + gates, clocked, changes,
        leakage / 1e3,
    )  # fmt: skip
