"""The harness of each unit: its memories and how they are connected."""

from dataclasses import replace

from amaranth.hdl import Array, Cat, Module, Mux, Signal

from tests.cocotb.cases import POOL, planes_with_pool
from tests.cocotb.harness import Harness
from tests.cocotb.norm_cases import KEEPS, SUM_WORDS
from trident.hw.core.core import give_numbers
from trident.hw.engines.backward import BackwardEngine
from trident.hw.engines.forward import ForwardEngine
from trident.hw.engines.weight_grad import WeightGradEngine
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.microcode import UPDATE_NUMBERS
from trident.hw.isa.spaces import Space, kept_spaces, raw_spaces
from trident.hw.lib.memory import SharedMemory, WeightMemory
from trident.hw.lib.streams import connect
from trident.hw.units.fire import FireUnit
from trident.hw.units.loss import LossUnit
from trident.hw.units.neuron import NeuronUnit
from trident.hw.units.neuron_grad import NeuronGradUnit
from trident.hw.units.norm import NormUnit
from trident.hw.units.pool import PoolUnit
from trident.hw.units.receive import ReceiveUnit
from trident.hw.units.reduce import ReduceUnit
from trident.hw.units.softmax import SoftmaxUnit
from trident.hw.units.spread import SpreadUnit
from trident.hw.units.standardise import StandardiseUnit
from trident.hw.units.update import UpdateUnit
from trident.hw.units.window import WindowUnit


def _read(m: Module, memory: SharedMemory, reader: int, address, en):
    """Connect a read port; returns its data."""
    m.d.comb += [memory.read_address[reader].eq(address), memory.read_en[reader].eq(en)]
    return memory.read_data[reader]


def _granule(memory: SharedMemory, reader: int, chosen):
    """One row of a wide memory's word."""
    data = memory.read_data[reader]
    return Array(data[n * memory.width : (n + 1) * memory.width] for n in range(memory.granules))[chosen]


def _bits(count: int) -> int:
    return (count - 1).bit_length()


def _gradients(m: Module, cfg: CoreConfig, unit: WeightGradEngine, memory: SharedMemory):
    """Connect the weight-gradient engine and the gradients."""
    beat_bits = cfg.lane_bits - _bits(cfg.weight_grad_cols)
    m.d.comb += [
        unit.read_data.eq(_read(m, memory, 0, Cat(unit.read_beat[:beat_bits], unit.read_tile), unit.read_en)),
        memory.write_address.eq(Cat(unit.write_beat[:beat_bits], unit.write_tile)),
        memory.write_en.eq(unit.write_en),
        memory.write_data.eq(unit.write_data),
    ]


def _functions(m: Module, cfg: CoreConfig, unit, memories: dict):
    """Connect a unit's readers of the function table, if it has some."""
    for lane in range(cfg.lanes if Space.FUNCTIONS in memories else 0):
        data = _read(m, memories[Space.FUNCTIONS], lane, unit.table_address[lane], unit.table_en)
        m.d.comb += unit.tables[lane].eq(data)


class ForwardHarness(Harness):
    unit_class = ForwardEngine

    def memories(self):
        return {Space.WEIGHTS: WeightMemory(self.cfg), Space.SPIKES: self._memory(Space.SPIKES)}

    def connect(self, m, unit, memories):
        weights = memories[Space.WEIGHTS]
        m.d.comb += [
            weights.row_tile.eq(unit.row_tile),
            weights.row_number.eq(unit.row_number),
            weights.row_en.eq(unit.row_en),
            unit.row_data.eq(weights.row_data),
            unit.word_data.eq(_read(m, memories[Space.SPIKES], 0, unit.word_address, unit.word_en)),
        ]


class BackwardHarness(Harness):
    """The stream in: what the cores before have summed."""

    unit_class = BackwardEngine

    @property
    def sink(self):
        return self.unit.partials

    def memories(self):
        return {
            Space.WEIGHTS: WeightMemory(self.cfg),
            Space.ERRORS: self._memory(Space.ERRORS),
            Space.ERROR_MASKS: self._memory(Space.ERROR_MASKS),
        }

    def connect(self, m, unit, memories):
        weights = memories[Space.WEIGHTS]
        chunk_bits = self.cfg.step_bits - _bits(self.cfg.backward_cols)
        beat = Cat(unit.error_beat[:chunk_bits], unit.error_word)
        m.d.comb += [
            unit.take.eq(JOB.shape()(self.job).take),
            unit.raw.eq(JOB.shape()(self.job).channel),
            weights.col_tile.eq(unit.row_tile),
            weights.col_number.eq(unit.row_number),
            weights.col_en.eq(unit.row_en),
            unit.row_data.eq(weights.col_data),
            unit.error_data.eq(_read(m, memories[Space.ERRORS], 0, beat, unit.error_en)),
            unit.word_data.eq(_read(m, memories[Space.ERROR_MASKS], 0, unit.word_address, unit.word_en)),
        ]


class WeightGradHarness(Harness):
    unit_class = WeightGradEngine

    def memories(self):
        return {space: self._memory(space) for space in (Space.SPIKES, Space.ERRORS, Space.GRADIENTS)}

    def connect(self, m, unit, memories):
        cfg, errors, gradients = self.cfg, memories[Space.ERRORS], memories[Space.GRADIENTS]
        error_bits = _bits(cfg.backward_cols)
        chosen = Signal(max(error_bits, 1))
        with m.If(unit.row_en):
            m.d.sync += chosen.eq(unit.row_number[:error_bits])
        _read(m, errors, 0, Cat(unit.row_number[error_bits : cfg.step_bits], unit.row_tile), unit.row_en)
        m.d.comb += [
            unit.row_data.eq(_granule(errors, 0, chosen)),
            unit.word_data.eq(_read(m, memories[Space.SPIKES], 0, unit.word_address, unit.word_en)),
            self.o_valid.eq(unit.write_en.any()),
            self.o_payload.eq(gradients.write_address << _bits(gradients.granules)),
        ]
        _gradients(m, cfg, unit, gradients)


class NeuronHarness(Harness):
    unit_class = NeuronUnit

    def memories(self):
        spaces = [Space.SPIKES, Space.MASKS]
        if self.cfg.keeps_potentials:
            spaces.append(Space.POTENTIALS)
        return {space: self._memory(space) for space in spaces}

    def connect(self, m, unit, memories):
        for space, bits in ((Space.SPIKES, unit.spikes), (Space.MASKS, unit.masks)):
            m.d.comb += [
                memories[space].write_address.eq(unit.word_address),
                memories[space].write_en.eq(unit.word_en),
                memories[space].write_data.eq(bits),
            ]
        if Space.POTENTIALS in memories:
            m.d.comb += [
                memories[Space.POTENTIALS].write_address.eq(unit.row_address),
                memories[Space.POTENTIALS].write_en.eq(unit.row_en),
                memories[Space.POTENTIALS].write_data.eq(unit.potentials),
            ]
        job = JOB.shape()(self.job)
        give_numbers(m, self.cfg, unit, job)
        m.d.comb += [unit.dst.eq(job.dst), self.o_valid.eq(unit.word_en), self.o_payload.eq(unit.word_address)]


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
        address = Mux(grant, unit.spike_address, ~unit.spike_address)  # others read when the unit does not
        m.d.comb += [
            unit.spike_grant.eq(grant),
            unit.spikes.eq(_read(m, spikes, 0, address, 1)),
            unit.masks.eq(_read(m, masks, 0, address, 1)),
            spikes.write_address.eq(unit.word_address),
            spikes.write_en.eq(unit.word_en),
            spikes.write_data.eq(unit.word),
            masks.write_address.eq(unit.mask_address),
            masks.write_en.eq(unit.mask_en),
            masks.write_data.eq(unit.mask),
            self.o_valid.eq(unit.mask_en),
            self.o_payload.eq(unit.mask_address),
        ]


class NeuronGradHarness(Harness):
    unit_class = NeuronGradUnit

    def memories(self):
        spaces = [Space.SPIKES, Space.MASKS, Space.ERRORS, Space.ERROR_MASKS]
        if self.cfg.keeps_potentials:
            spaces.append(Space.POTENTIALS)
        tables = {Space.FUNCTIONS: self._memory(Space.FUNCTIONS, self.cfg.lanes)} if self.unit.steps.looks else {}
        return {space: self._memory(space) for space in spaces} | tables

    def connect(self, m, unit, memories):
        job = JOB.shape()(self.job)
        give_numbers(m, self.cfg, unit, job)
        m.d.comb += [unit.dst.eq(job.dst), unit.aux.eq(job.aux)]
        _functions(m, self.cfg, unit, memories)
        errors, masks = memories[Space.ERRORS], memories[Space.ERROR_MASKS]
        error_bits = _bits(errors.granules)
        address = Mux(unit.spike_en, unit.spike_address, ~unit.spike_address)  # others read when the unit does not
        spikes = _read(m, memories[Space.SPIKES], 0, address, unit.spike_en | ~unit.spike_hold)
        m.d.comb += [
            unit.spikes.eq(spikes),
            unit.masks.eq(_read(m, memories[Space.MASKS], 0, unit.spike_address, unit.spike_en)),
        ]
        if Space.POTENTIALS in memories:
            potentials = _read(m, memories[Space.POTENTIALS], 0, unit.potential_address, unit.potential_en)
            m.d.comb += unit.potentials.eq(potentials)
        m.d.comb += [
            errors.write_address.eq(unit.error_address >> error_bits),
            errors.write_en.eq(unit.error_en << unit.error_address[:error_bits]),
            errors.write_data.eq(unit.errors.replicate(errors.granules)),
            masks.write_address.eq(unit.mask_address),
            masks.write_en.eq(unit.mask_en),
            masks.write_data.eq(unit.mask),
            self.o_valid.eq(unit.error_en),
            self.o_payload.eq(unit.error_address),
        ]


class LossHarness(Harness):
    """The loss table is a memory of the unit itself."""

    unit_class = LossUnit

    def memories(self):
        return {Space.SPIKES: self._memory(Space.SPIKES), Space.LOSS_TABLE: self.unit}

    def connect(self, m, unit, memories):
        grant = unit.spike_request & ~self.hold
        address = Mux(grant, unit.spike_address, ~unit.spike_address)  # others read when the unit does not
        m.d.comb += [unit.spike_grant.eq(grant), unit.spikes.eq(_read(m, memories[Space.SPIKES], 0, address, 1))]


class SoftmaxHarness(LossHarness):
    """With the function table; a core that has the unit has that loss."""

    unit_class = SoftmaxUnit

    def __init__(self, cfg: CoreConfig):
        super().__init__(replace(cfg, loss="softmax"))

    def memories(self):
        return super().memories() | {Space.FUNCTIONS: self._memory(Space.FUNCTIONS, self.cfg.lanes)}

    def connect(self, m, unit, memories):
        super().connect(m, unit, memories)
        _functions(m, self.cfg, unit, memories)


class ReceiveHarness(Harness):
    """Rows in, rows with their tags out; no memory."""

    unit_class = ReceiveUnit

    def memories(self):
        return {}

    def connect(self, m, unit, memories):
        pass


class ReduceHarness(Harness):
    """With the weight-gradient engine, whose array it uses: its sums are written and leave."""

    unit_class = ReduceUnit

    def __init__(self, cfg: CoreConfig):
        self.engine = WeightGradEngine(cfg)
        super().__init__(cfg)

    @property
    def sink(self):
        return self.engine.partials

    @property
    def source(self):
        return self.engine.reduced

    def memories(self):
        return {Space.GRADIENTS: self._memory(Space.GRADIENTS)}

    def connect(self, m, unit, memories):
        m.submodules.engine = engine = self.engine
        connect(m, unit.o, engine.reduce)
        _gradients(m, self.cfg, engine, memories[Space.GRADIENTS])
        m.d.comb += [
            engine.reducing.eq(1),
            engine.take.eq(JOB.shape()(self.job).take),
            self.busy.eq(unit.busy | engine.held),
            self.nonfinite.eq(engine.nonfinite),
        ]


class UpdateHarness(Harness):
    unit_class = UpdateUnit

    def memories(self):
        return {
            Space.WEIGHTS: WeightMemory(self.cfg),
            Space.GRADIENTS: self._memory(Space.GRADIENTS),
            **{space: self._memory(space) for space in (*kept_spaces(self.cfg), *raw_spaces(self.cfg))},
            **({Space.FUNCTIONS: self._memory(Space.FUNCTIONS, self.cfg.lanes)} if self.unit.steps.looks else {}),
        }

    def connect(self, m, unit, memories):
        weights, gradients = memories[Space.WEIGHTS], memories[Space.GRADIENTS]
        if not self.cfg.standardise:
            give_numbers(m, self.cfg, unit, JOB.shape()(self.job), UPDATE_NUMBERS)
        _functions(m, self.cfg, unit, memories)
        grad_bits = _bits(gradients.granules)
        chosen = Signal(max(grad_bits, 1))
        with m.If(unit.gradient_read):
            m.d.sync += chosen.eq(unit.gradient_address[:grad_bits])
        _read(m, gradients, 0, unit.gradient_address >> grad_bits, unit.gradient_read)
        m.d.comb += [
            unit.gradients.eq(_granule(gradients, 0, chosen)),
            gradients.write_address.eq(unit.gradient_clear_address >> grad_bits),
            gradients.write_en.eq(Mux(unit.gradient_clear, 1 << unit.gradient_clear_address[:grad_bits], 0)),
            weights.update_address.eq(unit.row_address),
            weights.update_read.eq(unit.reads("weights")),
            unit.weights.old.eq(weights.row_data),
            weights.update_write_address.eq(unit.row_write_address),
            weights.update_write.eq(unit.weights.write),
            weights.update_data.eq(unit.weights.new),
            self.o_valid.eq(unit.weights.write),
            self.o_payload.eq(unit.row_write_address),
        ]
        for space in (*kept_spaces(self.cfg), *raw_spaces(self.cfg)):
            name = space.name.lower()
            memory, port = memories[space], getattr(unit, name)
            m.d.comb += [
                port.old.eq(_read(m, memory, 0, unit.row_address, unit.reads(name))),
                memory.write_address.eq(unit.row_write_address),
                memory.write_en.eq(port.write),
                memory.write_data.eq(port.new),
            ]
        if self.cfg.exact or self.cfg.standardise:
            m.d.comb += self.saturated.eq(unit.saturated)


class StandardiseHarness(UpdateHarness):
    """A core that has the unit has standardised weights."""

    unit_class = StandardiseUnit

    def __init__(self, cfg: CoreConfig):
        super().__init__(replace(cfg, standardise=True))


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
        weights, error_bits, grad_bits = memories[Space.WEIGHTS], _bits(errors.granules), _bits(gradients.granules)
        _functions(m, cfg, unit, memories)
        chosen = Signal(max(error_bits, 1))
        with m.If(unit.error_en):
            m.d.sync += chosen.eq(unit.error_step[:error_bits])
        _read(m, errors, 0, Cat(unit.error_step[error_bits : cfg.step_bits], unit.error_word), unit.error_en)
        m.d.comb += [
            unit.errors.eq(_granule(errors, 0, chosen)),
            unit.sums.eq(_read(m, sums, 0, unit.sum_address, unit.sum_en)),
            sums.write_address.eq(unit.sum_write_address),
            sums.write_en.eq(unit.sum_write),
            sums.write_data.eq(unit.sum_data),
            errors.write_address.eq(unit.error_address >> error_bits),
            errors.write_en.eq(unit.error_write << unit.error_address[:error_bits]),
            errors.write_data.eq(unit.error_data.replicate(errors.granules)),
            masks.write_address.eq(unit.mask_address),
            masks.write_en.eq(unit.mask_en),
            masks.write_data.eq(unit.mask),
            gradients.write_address.eq(unit.gradient_address >> grad_bits),
            gradients.write_en.eq(unit.gradient_write << unit.gradient_address[:grad_bits]),
            gradients.write_data.eq(unit.gradients.replicate(gradients.granules)),
            weights.update_address.eq(unit.row_address),
            weights.update_read.eq(unit.row_read),
            unit.weights.eq(weights.row_data),
            unit.raw.eq(_read(m, raw, 0, unit.row_address, unit.row_read)),
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
        m.d.comb += unit.sums.eq(_read(m, memories[Space.POTENTIALS], 0, unit.sum_address, unit.sum_en))


class WindowHarness(NormHarness):
    """Winners are where masks are here."""

    unit_class = WindowUnit

    def memories(self):
        return {Space.POTENTIALS: self._sums(), Space.MASKS: self._memory(Space.MASKS)}

    def connect(self, m, unit, memories):
        sums, winners = memories[Space.POTENTIALS], memories[Space.MASKS]
        m.d.comb += [
            unit.sums.eq(_read(m, sums, 0, unit.sum_address, unit.sum_en)),
            sums.write_address.eq(unit.sum_write_address),
            sums.write_en.eq(unit.sum_write),
            sums.write_data.eq(unit.sum_data),
            winners.write_address.eq(unit.winner_address),
            winners.write_en.eq(unit.winner_en),
            winners.write_data.eq(unit.winner),
        ]


class SpreadHarness(NormHarness):
    unit_class = SpreadUnit

    def memories(self):
        return {space: self._memory(space) for space in (Space.MASKS, Space.ERRORS, Space.ERROR_MASKS)}

    def connect(self, m, unit, memories):
        cfg, errors, masks = self.cfg, memories[Space.ERRORS], memories[Space.ERROR_MASKS]
        error_bits = _bits(errors.granules)
        chosen = Signal(max(error_bits, 1))
        with m.If(unit.error_en):
            m.d.sync += chosen.eq(unit.error_step[:error_bits])
        _read(m, errors, 0, Cat(unit.error_step[error_bits : cfg.step_bits], unit.error_word), unit.error_en)
        m.d.comb += [
            unit.errors.eq(_granule(errors, 0, chosen)),
            unit.winners.eq(_read(m, memories[Space.MASKS], 0, unit.winner_address, unit.winner_en)),
            errors.write_address.eq(unit.error_address >> error_bits),
            errors.write_en.eq(unit.error_write << unit.error_address[:error_bits]),
            errors.write_data.eq(unit.error_data.replicate(errors.granules)),
            masks.write_address.eq(unit.mask_address),
            masks.write_en.eq(unit.mask_en),
            masks.write_data.eq(unit.mask),
        ]


HARNESSES = {
    "forward": ForwardHarness,
    "backward": BackwardHarness,
    "weight_grad": WeightGradHarness,
    "neuron": NeuronHarness,
    "neuron_grad": NeuronGradHarness,
    "pool": PoolHarness,
    "loss": LossHarness,
    "softmax": SoftmaxHarness,
    "receive": ReceiveHarness,
    "reduce": ReduceHarness,
    "update": UpdateHarness,
    "standardise": StandardiseHarness,
    "norm": NormHarness,
    "fire": FireHarness,
    "window": WindowHarness,
    "spread": SpreadHarness,
}
