"""The harnesses of units that rewrite spikes and masks: pool and drop."""

from dataclasses import replace

from amaranth.hdl import Mux

from tests.cocotb.cases import POOL, planes_with_pool
from tests.cocotb.harness import Harness
from tests.cocotb.ports import read
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.spaces import Space
from trident.hw.units.drop import DropUnit
from trident.hw.units.pool import PoolUnit


class PoolHarness(Harness):
    """A core that has the unit has windows of a size."""

    unit_class = PoolUnit

    def __init__(self, cfg: CoreConfig):
        super().__init__(replace(cfg, pool=POOL, planes=planes_with_pool(cfg)))

    def memories(self):
        return {space: self._memory(space) for space in (Space.SPIKES, Space.MASKS)}

    def connect(self, m, unit, memories):
        spikes, masks = memories[Space.SPIKES], memories[Space.MASKS]
        grant = unit.spike_request & ~self.hold
        at = unit.spike_address, getattr(unit, "stored_address", unit.spike_address)
        address, stored = (Mux(grant, own, ~own) for own in at)  # others read when the unit does not
        m.d.comb += [
            unit.spike_grant.eq(grant),
            unit.spikes.eq(read(m, spikes, 0, address, 1)),
            unit.masks.eq(read(m, masks, 0, stored, 1)),
            spikes.write_address.eq(unit.word_address),
            spikes.write_en.eq(unit.word_en),
            spikes.write_data.eq(unit.word),
            masks.write_address.eq(unit.mask_address),
            masks.write_en.eq(unit.mask_en),
            masks.write_data.eq(unit.mask),
            self.o_valid.eq(unit.mask_en),
            self.o_payload.eq(unit.mask_address),
        ]


class DropHarness(PoolHarness):
    """The number of the sample comes as a label does."""

    unit_class = DropUnit

    def connect(self, m, unit, memories):
        super().connect(m, unit, memories)
        m.d.comb += unit.sample.eq(self.label)
