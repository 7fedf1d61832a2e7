"""The harness of each unit: its memories and how they are connected."""

from dataclasses import replace

from amaranth.hdl import Cat, Module, Mux, Signal

from tests.cocotb.harness import Harness
from tests.cocotb.leak_cases import learning
from tests.cocotb.pool_harnesses import DropHarness, PoolHarness
from tests.cocotb.ports import (
    bits_of,
    connect_functions,
    granule,
    read,
    read_errors,
    read_weights,
    write_gradients,
)
from tests.cocotb.sum_harnesses import AdditionHarness, FireHarness, NormHarness
from tests.cocotb.window_harnesses import JoinHarness, SpreadHarness, WindowHarness
from trident.hw.core.numbers import give_numbers
from trident.hw.engines.backward import BackwardEngine
from trident.hw.engines.forward import ForwardEngine
from trident.hw.engines.weight_grad import WeightGradEngine
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.microcode import UPDATE_NUMBERS
from trident.hw.isa.spaces import Space, kept_spaces, raw_spaces
from trident.hw.lib.memory import SharedMemory, WeightMemory
from trident.hw.lib.streams import connect
from trident.hw.units.leak import LeakUnit
from trident.hw.units.loss import LossUnit
from trident.hw.units.neuron import NeuronUnit
from trident.hw.units.neuron_grad import NeuronGradUnit
from trident.hw.units.receive import ReceiveUnit
from trident.hw.units.reduce import ReduceUnit
from trident.hw.units.softmax import SoftmaxUnit
from trident.hw.units.standardise import StandardiseUnit
from trident.hw.units.tie import TieUnit
from trident.hw.units.update import UpdateUnit


def _gradients(m: Module, cfg: CoreConfig, unit: WeightGradEngine, memory: SharedMemory):
    """Connect the weight-gradient engine and the gradients."""
    beat_bits = cfg.lane_bits - bits_of(cfg.weight_grad_cols)
    m.d.comb += [
        unit.read_data.eq(read(m, memory, 0, Cat(unit.read_beat[:beat_bits], unit.read_tile), unit.read_en)),
        memory.write_address.eq(Cat(unit.write_beat[:beat_bits], unit.write_tile)),
        memory.write_en.eq(unit.write_en),
        memory.write_data.eq(unit.write_data),
    ]


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
            unit.word_data.eq(read(m, memories[Space.SPIKES], 0, unit.word_address, unit.word_en)),
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
            Space.ERRORS: self._memory(Space.ERRORS, banks=self.cfg.lanes),
            Space.ERROR_MASKS: self._memory(Space.ERROR_MASKS),
        }

    def connect(self, m, unit, memories):
        weights = memories[Space.WEIGHTS]
        chunk_bits = self.cfg.step_bits - bits_of(self.cfg.backward_cols)
        beat = Cat(unit.error_beat[:chunk_bits], unit.error_word)
        m.d.comb += [
            unit.take.eq(JOB.shape()(self.job).take),
            unit.raw.eq(JOB.shape()(self.job).channel),
            weights.col_tile.eq(unit.row_tile),
            weights.col_number.eq(unit.row_number),
            weights.col_en.eq(unit.row_en),
            unit.row_data.eq(weights.col_data),
            unit.error_data.eq(read(m, memories[Space.ERRORS], 0, beat, unit.error_en)),
            unit.word_data.eq(read(m, memories[Space.ERROR_MASKS], 0, unit.word_address, unit.word_en)),
        ]


class WeightGradHarness(Harness):
    unit_class = WeightGradEngine

    def memories(self):
        return {space: self._memory(space) for space in (Space.SPIKES, Space.ERRORS, Space.GRADIENTS)}

    def connect(self, m, unit, memories):
        cfg, errors, gradients = self.cfg, memories[Space.ERRORS], memories[Space.GRADIENTS]
        m.d.comb += [
            unit.row_data.eq(read_errors(m, cfg, errors, unit.row_tile, unit.row_number, unit.row_en)),
            unit.word_data.eq(read(m, memories[Space.SPIKES], 0, unit.word_address, unit.word_en)),
            self.o_valid.eq(unit.write_en.any()),
            self.o_payload.eq(gradients.write_address << bits_of(gradients.granules)),
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
        connect_functions(m, self.cfg, unit, memories)
        errors, masks = memories[Space.ERRORS], memories[Space.ERROR_MASKS]
        error_bits = bits_of(errors.granules)
        address = Mux(unit.spike_en, unit.spike_address, ~unit.spike_address)  # others read when the unit does not
        spikes = read(m, memories[Space.SPIKES], 0, address, unit.spike_en | ~unit.spike_hold)
        m.d.comb += [
            unit.spikes.eq(spikes),
            unit.masks.eq(read(m, memories[Space.MASKS], 0, unit.spike_address, unit.spike_en)),
        ]
        if Space.POTENTIALS in memories:
            potentials = read(m, memories[Space.POTENTIALS], 0, unit.potential_address, unit.potential_en)
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
        m.d.comb += [unit.spike_grant.eq(grant), unit.spikes.eq(read(m, memories[Space.SPIKES], 0, address, 1))]


class SoftmaxHarness(LossHarness):
    """With the function table; a core that has the unit has that loss."""

    unit_class = SoftmaxUnit

    def __init__(self, cfg: CoreConfig):
        super().__init__(replace(cfg, loss="softmax"))

    def memories(self):
        return super().memories() | {Space.FUNCTIONS: self._memory(Space.FUNCTIONS, self.cfg.lanes)}

    def connect(self, m, unit, memories):
        super().connect(m, unit, memories)
        connect_functions(m, self.cfg, unit, memories)


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
        connect_functions(m, self.cfg, unit, memories)
        grad_bits = bits_of(gradients.granules)
        chosen = Signal(max(grad_bits, 1))
        with m.If(unit.gradient_read):
            m.d.sync += chosen.eq(unit.gradient_address[:grad_bits])
        read(m, gradients, 0, unit.gradient_address >> grad_bits, unit.gradient_read)
        m.d.comb += [
            unit.gradients.eq(granule(gradients, 0, chosen)),
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
                port.old.eq(read(m, memory, 0, unit.row_address, unit.reads(name))),
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


class LeakHarness(Harness):
    """Leaks are where potentials are here."""

    unit_class = LeakUnit

    def __init__(self, cfg: CoreConfig):
        super().__init__(learning(cfg))

    def memories(self):
        return {
            Space.WEIGHTS: WeightMemory(self.cfg), Space.POTENTIALS: self._memory(Space.POTENTIALS),
            Space.FUNCTIONS: self._memory(Space.FUNCTIONS, self.cfg.lanes),
        }  # fmt: skip

    def connect(self, m, unit, memories):
        leaks, job = memories[Space.POTENTIALS], JOB.shape()(self.job)
        give_numbers(m, self.cfg, unit, job)
        connect_functions(m, self.cfg, unit, memories)
        read_weights(m, unit, memories[Space.WEIGHTS])
        m.d.comb += [
            unit.which.eq(job.neuron),
            leaks.write_address.eq(unit.leak_address),
            leaks.write_en.eq(unit.leak_write),
            leaks.write_data.eq(unit.leak),
        ]


class TieHarness(LeakHarness):
    unit_class = TieUnit

    def memories(self):
        return {Space.GRADIENTS: self._memory(Space.GRADIENTS)}

    def connect(self, m, unit, memories):
        gradients = memories[Space.GRADIENTS]
        grad_bits = bits_of(gradients.granules)
        read(m, gradients, 0, unit.gradient_address >> grad_bits, unit.gradient_read)
        m.d.comb += unit.gradients.eq(granule(gradients, 0, unit.gradient_address[:grad_bits]))
        write_gradients(m, unit, gradients, unit.gradient_data)


HARNESSES = {
    "forward": ForwardHarness,
    "backward": BackwardHarness,
    "weight_grad": WeightGradHarness,
    "neuron": NeuronHarness,
    "neuron_grad": NeuronGradHarness,
    "pool": PoolHarness,
    "drop": DropHarness,
    "join": JoinHarness,
    "loss": LossHarness,
    "softmax": SoftmaxHarness,
    "receive": ReceiveHarness,
    "reduce": ReduceHarness,
    "update": UpdateHarness,
    "standardise": StandardiseHarness,
    "norm": NormHarness,
    "fire": FireHarness,
    "addition": AdditionHarness,
    "window": WindowHarness,
    "spread": SpreadHarness,
    "leak": LeakHarness,
    "tie": TieHarness,
}
