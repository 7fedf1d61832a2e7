"""The harnesses of the units that keep sums: norm, fire and addition."""

from dataclasses import replace

from tests.cocotb.harness import Harness
from tests.cocotb.norm_cases import KEEPS, SUM_WORDS
from tests.cocotb.ports import (
    connect_functions,
    read,
    read_errors,
    read_weights,
    write_error_rows,
    write_errors,
    write_gradients,
    write_sums,
)
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.hw.lib.memory import SharedMemory, WeightMemory
from trident.hw.units.addition import AdditionUnit
from trident.hw.units.fire import FireUnit
from trident.hw.units.norm import NormUnit


class NormHarness(Harness):
    """A core that has the unit has room for sums, which are where potentials are here."""

    unit_class = NormUnit

    def __init__(self, cfg: CoreConfig):
        super().__init__(replace(cfg, **KEEPS))

    def memories(self):
        spaces = Space.RAW, Space.GRADIENTS, Space.ERRORS, Space.ERROR_MASKS
        return {
            Space.WEIGHTS: WeightMemory(self.cfg), Space.POTENTIALS: self._sums(),
            **{space: self._memory(space) for space in spaces},
            Space.FUNCTIONS: self._memory(Space.FUNCTIONS, self.cfg.lanes),
        }  # fmt: skip

    def _sums(self) -> SharedMemory:
        return SharedMemory(self.cfg.row_bits, SUM_WORDS << self.cfg.step_bits, 1)

    def connect(self, m, unit, memories):
        cfg, errors, masks = self.cfg, memories[Space.ERRORS], memories[Space.ERROR_MASKS]
        sums, gradients, raw = memories[Space.POTENTIALS], memories[Space.GRADIENTS], memories[Space.RAW]
        connect_functions(m, cfg, unit, memories)
        read_weights(m, unit, memories[Space.WEIGHTS])
        write_gradients(m, unit, gradients, unit.gradients)
        write_sums(m, unit, sums)
        write_errors(m, unit, errors, masks)
        m.d.comb += [
            unit.errors.eq(read_errors(m, cfg, errors, unit.error_word, unit.error_step, unit.error_en)),
            unit.raw.eq(read(m, raw, 0, unit.row_address, unit.row_read)),
            raw.write_address.eq(unit.row_address),
            raw.write_en.eq(unit.raw_write),
            raw.write_data.eq(unit.raw_data),
            self.saturated.eq(unit.large),
        ]


class FireHarness(NormHarness):
    unit_class = FireUnit

    def memories(self):
        return {Space.POTENTIALS: self._sums()}

    def connect(self, m, unit, memories):
        m.d.comb += unit.sums.eq(read(m, memories[Space.POTENTIALS], 0, unit.sum_address, unit.sum_en))


class AdditionHarness(Harness):
    """That which adds errors; sums are in a memory without masks."""

    unit_class = AdditionUnit

    def memories(self):
        return {space: self._memory(space) for space in (Space.ERRORS, Space.ERROR_MASKS)}

    def connect(self, m, unit, memories):
        errors = memories[Space.ERRORS]
        m.d.comb += unit.rows.eq(read_errors(m, self.cfg, errors, unit.row_word, unit.row_step, unit.row_en))
        write_error_rows(m, unit, errors, memories[Space.ERROR_MASKS], unit.row_address, unit.row_write, unit.row_data)
