"""The harnesses of units of windows that may overlap: window, join, spread."""

from amaranth.hdl import Mux

from tests.cocotb.harness import Harness
from tests.cocotb.norm_cases import SUM_WORDS
from tests.cocotb.ports import read, read_errors, write_errors, write_sums
from tests.cocotb.window_cases import with_windows
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.hw.lib.memory import SharedMemory
from trident.hw.units.join import JoinUnit
from trident.hw.units.spread import SpreadUnit
from trident.hw.units.window import WindowUnit


class WindowHarness(Harness):
    """Sums are where potentials are here, and winners where masks are."""

    unit_class = WindowUnit

    def __init__(self, cfg: CoreConfig):
        super().__init__(with_windows(cfg))

    def memories(self):
        sums = SharedMemory(self.cfg.row_bits, SUM_WORDS << self.cfg.step_bits, 1)
        return {Space.POTENTIALS: sums, Space.MASKS: self._winners()}

    def connect(self, m, unit, memories):
        write_sums(m, unit, memories[Space.POTENTIALS])
        self._write_winners(m, unit, memories[Space.MASKS])

    def _winners(self) -> SharedMemory:
        return SharedMemory(self.cfg.winner_bits, self.cfg.winner_words, 1)

    def _write_winners(self, m, unit, winners):
        m.d.comb += [
            winners.write_address.eq(unit.winner_address),
            winners.write_en.eq(unit.winner_en),
            winners.write_data.eq(unit.winner),
        ]


class JoinHarness(WindowHarness):
    unit_class = JoinUnit

    def memories(self):
        return {Space.SPIKES: self._memory(Space.SPIKES), Space.MASKS: self._winners()}

    def connect(self, m, unit, memories):
        spikes = memories[Space.SPIKES]
        grant = unit.spike_request & ~self.hold
        address = Mux(grant, unit.spike_address, ~unit.spike_address)  # others read when the unit does not
        self._write_winners(m, unit, memories[Space.MASKS])
        m.d.comb += [
            unit.spike_grant.eq(grant),
            unit.spikes.eq(read(m, spikes, 0, address, 1)),
            spikes.write_address.eq(unit.word_address),
            spikes.write_en.eq(unit.word_en),
            spikes.write_data.eq(unit.word),
        ]


class SpreadHarness(WindowHarness):
    """The stream out: errors on their way to neurons."""

    unit_class = SpreadUnit

    def memories(self):
        errors, masks = (self._memory(space) for space in (Space.ERRORS, Space.ERROR_MASKS))
        return {Space.MASKS: self._winners(), Space.ERRORS: errors, Space.ERROR_MASKS: masks}

    def connect(self, m, unit, memories):
        errors, masks = memories[Space.ERRORS], memories[Space.ERROR_MASKS]
        write_errors(m, unit, errors, masks)
        m.d.comb += [
            unit.errors.eq(read_errors(m, self.cfg, errors, unit.error_word, unit.error_step, unit.error_en)),
            unit.winners.eq(read(m, memories[Space.MASKS], 0, unit.winner_address, unit.winner_en)),
        ]
