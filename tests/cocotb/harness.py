"""Each unit beside its real memories, behind one set of plain ports that every unit's bench drives."""

from abc import abstractmethod

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.mac import SharedMac
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.spaces import Space, space_bits
from trident.hw.isa.words import WORD
from trident.hw.lib.memory import SharedMemory
from trident.hw.lib.streams import connect


class Harness(wiring.Component):
    """A unit, the memories that it reads and writes, and access to them.

    A subclass names its unit's class, makes the memories and connects them.

    Members
    -------
    job, label, skip, start, busy : what to do; those that the unit does not have are ignored
    host_space, host_select, host_write, host_address, host_wdata, host_rdata : the memories, data one cycle later
    i_valid, i_payload, i_ready : stream into the unit
    o_valid, o_payload, o_ready : stream out of the unit; of a unit that writes a memory: its writes
    hold : what the unit shares with others is taken in this cycle: the multiply-adder, or the loss unit's reader
    nonfinite : an infinity or a NaN
    """

    unit_class = None
    OPERANDS = ("job", "label", "skip", "start")

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.unit = self.unit_class(cfg)
        bits = max(*space_bits(cfg).values(), cfg.winner_bits)
        source, sink = self.source, self.sink
        super().__init__({
            "job": In(JOB.words * WORD),
            "label": In(16),
            "skip": In(1),
            "start": In(1),
            "busy": Out(1),
            "host_space": In(4),
            "host_select": In(1),
            "host_write": In(1),
            "host_address": In(24),
            "host_wdata": In(bits),
            "host_rdata": Out(bits),
            "i_valid": In(1),
            "i_payload": In(Shape.cast(sink.payload.shape()).width if sink else 1),
            "i_ready": Out(1),
            "o_valid": Out(1),
            "o_payload": Out(Shape.cast(source.payload.shape()).width if source else 32),
            "o_ready": In(1),
            "hold": In(1),
            "nonfinite": Out(1),
        })  # fmt: skip

    @property
    def sink(self):
        """The stream into the unit, or None."""
        return getattr(self.unit, "i", None)

    @property
    def source(self):
        """The stream out of the unit, or None."""
        return getattr(self.unit, "o", None)

    @abstractmethod
    def memories(self) -> dict[Space, wiring.Component]:
        """The unit's memories by their space."""

    @abstractmethod
    def connect(self, m: Module, unit, memories):
        """Join the unit and its memories."""

    def _memory(self, space: Space, readers: int = 1, banks: int = 1) -> SharedMemory:
        cfg = self.cfg
        if space in (Space.SPIKES, Space.MASKS, Space.ERROR_MASKS):
            depth = cfg.error_words if space == Space.ERROR_MASKS else cfg.spike_words
            return SharedMemory(cfg.spike_bits, depth, readers)
        if space == Space.POTENTIALS:
            return SharedMemory(cfg.row_bits, cfg.spike_words << cfg.step_bits, readers)
        if space == Space.FUNCTIONS:
            return SharedMemory(space_bits(cfg)[space], cfg.function_lines, readers)
        if space == Space.ERRORS:
            cols = cfg.backward_cols
            return SharedMemory(cfg.row_bits, cfg.error_rows // cols, readers, cols, banks)
        if space == Space.GRADIENTS:
            cols = cfg.weight_grad_cols
            return SharedMemory(cfg.gradient_row_bits, cfg.weight_rows // cols, readers, granules=cols)
        return SharedMemory(cfg.row_bits, cfg.weight_rows, readers)

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self.unit
        memories = self.memories()
        for name in self.OPERANDS:
            if hasattr(unit, name):
                m.d.comb += getattr(unit, name).eq(getattr(self, name))
        for space, memory in memories.items():
            if memory is not unit:
                m.submodules[space.name.lower()] = memory
            chosen = self.host_select & (self.host_space == space)
            m.d.comb += [
                memory.host_select.eq(chosen),
                memory.host_write.eq(chosen & self.host_write),
                memory.host_address.eq(self.host_address),
                memory.host_wdata.eq(self.host_wdata),
            ]
        read_space = Signal(4)
        m.d.sync += read_space.eq(self.host_space)
        with m.Switch(read_space):
            for space, memory in memories.items():
                with m.Case(space):
                    m.d.comb += self.host_rdata.eq(memory.host_rdata)
        for mine, theirs in (("i", self.sink), ("o", self.source)):
            if theirs is None:
                continue
            outside = stream.Signature(theirs.payload.shape()).create()
            valid, payload, ready = (getattr(self, f"{mine}_{part}") for part in ("valid", "payload", "ready"))
            if mine == "o":
                m.d.comb += [valid.eq(outside.valid), payload.eq(outside.payload), outside.ready.eq(ready)]
                connect(m, theirs, outside)
            else:
                m.d.comb += [outside.valid.eq(valid), outside.payload.eq(payload), ready.eq(outside.ready)]
                connect(m, outside, theirs)
        self.saturated = Signal()  # a fault beside those of the multiply-adder
        if hasattr(unit, "request"):
            m.submodules.mac = mac = SharedMac(self.cfg, [len(unit.result_tag)])
            m.d.comb += [
                mac.i[0].valid.eq(unit.request.valid & ~self.hold),
                mac.i[0].payload.eq(unit.request.payload),
                unit.request.ready.eq(mac.i[0].ready & ~self.hold),
                unit.result.eq(mac.o),
                unit.result_tag.eq(mac.o_tag),
                unit.result_valid.eq(mac.o_valid[0]),
                self.nonfinite.eq(mac.nonfinite & mac.o_valid[0] | self.saturated),
            ]
        else:
            m.d.comb += self.nonfinite.eq(getattr(unit, "nonfinite", 0))
        m.d.comb += self.busy.eq(unit.busy)
        self.connect(m, unit, memories)
        return m
