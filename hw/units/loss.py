"""The loss unit: from the spike counts of the last layer to the errors at its spikes."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.engines.skeleton.queue import error_item
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.lib.memory import host_ports
from trident.hw.lib.streams import connect
from trident.hw.units.parts.fired import FiredCounts
from trident.hw.units.parts.repeat import RepeatErrors


def loss_ports(cfg: CoreConfig) -> dict:
    """The ports of any loss unit."""
    return {
        "job": In(JOB.shape()),
        "label": In(16),
        "start": In(1),
        "busy": Out(1),
        "spike_address": Out(cfg.address_bits),
        "spike_request": Out(1),
        "spike_grant": In(1),
        "spikes": In(cfg.spike_bits),
        "o": Out(stream.Signature(error_item(Payloads(cfg, "backward")))),
        **host_ports(cfg.loss_bits + cfg.label_bits, cfg.width),
    }


def loss_memory(m: Module, unit: wiring.Component) -> tuple[Signal, Value]:
    """The tables of a loss unit, which the host writes: an address in that of the label, and what is there."""
    cfg = unit.cfg
    depth = 1 << len(unit.host_address)
    m.submodules.table = table = memory.Memory(shape=unit.host_wdata.shape(), depth=depth, init=[])
    read, write = table.read_port(domain="comb"), table.write_port()
    address = Signal(cfg.loss_bits)
    m.d.comb += [
        write.addr.eq(unit.host_address),
        write.data.eq(unit.host_wdata),
        write.en.eq(unit.host_write),
        read.addr.eq(Mux(unit.host_select, unit.host_address, Cat(address, unit.label[: cfg.label_bits]))),
    ]
    m.d.sync += unit.host_rdata.eq(read.data)
    return address, read.data


def count_classes(m: Module, unit: wiring.Component, group) -> FiredCounts:
    """How often the classes of a ``group`` fired, where they have several voters the first of so many groups."""
    m.submodules.counts = counts = FiredCounts(unit.cfg)
    m.d.comb += [
        counts.first.eq(unit.job.aux + group), counts.stride.eq(unit.job.groups),
        unit.spike_address.eq(counts.spike_address), unit.spike_request.eq(counts.spike_request),
        counts.spike_grant.eq(unit.spike_grant), counts.spikes.eq(unit.spikes),
    ]  # fmt: skip
    if unit.cfg.voters > 1:
        m.d.comb += counts.votes.eq(unit.job.blocks)
    return counts


def repeat_errors(m: Module, unit: wiring.Component, group, row) -> RepeatErrors:
    """What gives the ``row`` of a group's errors at every timestep."""
    m.submodules.repeat = repeat = RepeatErrors(unit.cfg)
    m.d.comb += [repeat.row.eq(row), repeat.group.eq(group), repeat.stride.eq(unit.job.groups)]
    if unit.cfg.voters > 1:
        m.d.comb += repeat.votes.eq(unit.job.blocks)
    connect(m, repeat.o, unit.o)
    return repeat


def next_group(unit: wiring.Component, group) -> Value:
    """The first group of the next classes."""
    return group + 1 if unit.cfg.voters == 1 else group + 1 + unit.job.blocks


class LossUnit(wiring.Component):
    """``e = table[spikes fired, is it the label's class]``, the same at every timestep and for all voters of a class.

    The host fills the table with ``2 * (count / T - target) / (classes * T) * loss scale`` for the mean squared error
    of the rate, of several voters with T times these in the place of T; any loss that depends on a class's count and
    target alone fits. With ``loss_tables`` of more than 1 every label has a table of its own, whose errors have the
    weight of the label's class in them. The classes of a group take ``lanes + timesteps`` cycles per chunk and voter
    and the waits of the neuron-gradient unit. Lanes beyond the classes get +0.

    Members
    -------
    job : In: ``aux`` is the first spike word of the layer, ``src`` the number of its first class, ``blocks`` the
        voters of a class less one; label : In
    start : In(1), a pulse; busy : Out(1)
    spike_address, spike_request : Out, asks for a spike word; spike_grant : In(1), its data follow in the next cycle
    spikes : In, the word
    o : stream of rows of e, last timestep first, one group after another
    host_select, host_write, host_address, host_wdata, host_rdata : the table
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        super().__init__(loss_ports(cfg))

    def elaborate(self, platform):
        m = Module()
        cfg, job, width = self.cfg, self.job, self.cfg.width
        address, value = loss_memory(m, self)
        group = Signal(cfg.address_bits)
        number = Signal(cfg.address_bits)  # of the class
        row = Signal(cfg.row_bits)
        counts, repeat = count_classes(m, self, group), repeat_errors(m, self, group, row)
        error = Mux(number < job.count[: cfg.address_bits], value, 0)
        m.d.comb += address.eq(Cat(counts.fired, number == self.label))
        with m.If(counts.valid):
            m.d.sync += [row.eq(Cat(row[width:], error[:width]) if cfg.lanes > 1 else error), number.eq(number + 1)]
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [group.eq(0), number.eq(job.src), self.busy.eq(1)]
                    m.next = "COUNT"
            with m.State("COUNT"):
                m.d.comb += counts.en.eq(1)
                with m.If(counts.last):
                    m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += repeat.en.eq(1)
                with m.If(repeat.done):
                    m.d.sync += group.eq(next_group(self, group))
                    m.next = "COUNT"
                    with m.If(next_group(self, group) == job.groups[: cfg.address_bits]):
                        m.d.sync += self.busy.eq(0)
                        m.next = "IDLE"
        return m
