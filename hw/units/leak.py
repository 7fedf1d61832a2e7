"""The leak unit: what neurons that learn their leaks read of them, from the parameters in the memory of weights."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.mac import mac_request
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.units.parts.steps import VectorSteps, connect_steps


def leak_bits(cfg: CoreConfig) -> int:
    """Bits of an address in the memory of leaks."""
    return max((cfg.leak_groups - 1).bit_length(), 1)


def leak_ports(cfg: CoreConfig) -> dict:
    """The ports of a unit that reads leaks, in the cycle of the address; none where no neuron learns its own."""
    if not cfg.learns:
        return {}
    return {"leak": In(leak_bits(cfg)), "leak_address": Out(leak_bits(cfg)), "leaks": In(cfg.row_bits)}


def read_leaks(m: Module, unit, tag, inputs):
    """Give ``inputs`` of a program the leaks, or thresholds, of the neurons with this tag."""
    if unit.cfg.learns:
        m.d.comb += unit.leak_address.eq(unit.leak + tag.group)
        m.d.comb += [inputs[name].eq(unit.leaks) for name, _ in inputs.shape() if name in ("leak", "threshold")]


class LeakUnit(wiring.Component):
    """Runs a program of :func:`trident.hw.isa.charges.leak_program` on the parameters of every group of ``lanes``
    channels of a layer, one after another, and writes what neurons read, leaks or thresholds: a few rows, once per
    minibatch. A lane without a channel reads 1, so that a neuron there, whose potential is 0, does not fire.

    A group takes ``mac_stages`` cycles per step of the program, and 4 more.

    Members
    -------
    job : In: ``tile``, the first of the parameters; ``groups``; ``count``, channels; ``dst``, the first group that is
        written
    which, numbers, keys : In, the program of ``cfg.leak_programs`` and its constants, see :class:`VectorSteps`
    start : In(1), a pulse; busy : Out(1)
    request, result... : a client of the shared multiply-adder
    table_address, table_en, tables : per lane, a read port of the function table
    row_address, row_read, weights : read port for weights
    leak_address, leak_write, leak : write port for leaks, a row per group
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        self.steps = steps = VectorSteps(cfg, cfg.leak_programs, data.StructLayout({}), 1, lambda tag: 0)
        super().__init__({
            "job": In(JOB.shape()), "start": In(1), "busy": Out(1),
            "which": In(steps.which.shape()), "numbers": In(steps.numbers.shape()), "keys": In(steps.keys.shape()),
            "request": Out(stream.Signature(mac_request(cfg, steps.going.size))),
            "result": In(cfg.row_bits), "result_tag": In(steps.going.size), "result_valid": In(1),
            "table_address": Out(steps.table_address[0].shape()).array(cfg.lanes),
            "table_en": Out(1),
            "tables": In(steps.tables[0].shape()).array(cfg.lanes),
            "row_address": Out(max((cfg.weight_rows - 1).bit_length(), 1)), "row_read": Out(1),
            "weights": In(cfg.row_bits),
            "leak_address": Out(leak_bits(cfg)), "leak_write": Out(1), "leak": Out(cfg.row_bits),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.cfg, self.job
        m.submodules.steps = steps = self.steps
        connect_steps(m, self, steps)
        group = Signal(leak_bits(cfg) + 1)
        m.d.comb += [
            self.row_address.eq(job.tile + group << cfg.lane_bits),
            steps.i.payload.inputs.w.eq(self.weights),
            self.leak_address.eq(job.dst + group),
            self.leak_write.eq(steps.there.leak),
        ]
        for lane in range(cfg.lanes):
            part = slice(lane * cfg.width, (lane + 1) * cfg.width)
            there = (group << cfg.lane_bits) + lane < job.count
            m.d.comb += self.leak[part].eq(Mux(there, steps.outputs.leak[part], cfg.format.bias << cfg.frac))
        with m.FSM() as states:
            m.d.comb += self.busy.eq(~states.ongoing("IDLE"))
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += group.eq(0)
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.row_read.eq(1)
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += steps.i.valid.eq(1)
                with m.If(steps.i.ready):
                    m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(steps.done):
                    m.d.sync += group.eq(group + 1)
                    m.next = "READ"
                    with m.If(group + 1 == job.groups):
                        m.next = "IDLE"
        return m
