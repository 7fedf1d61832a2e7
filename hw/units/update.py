"""The update unit: an optimiser's step for every parameter, skipped when a gradient has overflowed."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.mac import mac_request
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.isa.optimisers import KEPT, kept_names
from trident.hw.lib.fetch import Fetch
from trident.hw.units.parts.rounding import RoundRows
from trident.hw.units.parts.steps import VectorSteps, connect_steps


def rows_under_way(cfg: CoreConfig) -> int:
    """Rows that an update unit has under way at once."""
    return 1 << (cfg.mac_stages + 4).bit_length()


def update_ports(cfg: CoreConfig, steps: VectorSteps, names: tuple[str, ...]) -> dict:
    """The ports of any update unit to the multiply-adder, to memories and to tables; ``names``: of what it changes of a
    parameter, in its program."""
    rows = max((cfg.weight_rows - 1).bit_length(), 1)
    port = wiring.Signature({"old": In(cfg.row_bits), "new": Out(cfg.row_bits), "write": Out(1)})
    return {
        "request": Out(stream.Signature(mac_request(cfg, steps.going.size))),
        "result": In(cfg.row_bits),
        "result_tag": In(steps.going.size),
        "result_valid": In(1),
        "saturated": Out(1),
        **{f"{name}_address": Out(rows) for name in ("gradient", "gradient_clear", "row", "row_write")},
        **{name: Out(1) for name in ("gradient_read", "gradient_clear", "row_read")},
        "gradients": In(cfg.gradient_row_bits),
        **{KEPT.get(name, "weights"): Out(port) for name in names},
        "table_address": Out(steps.table_address[0].shape()).array(cfg.lanes),
        "table_en": Out(1),
        "tables": In(steps.tables[0].shape()).array(cfg.lanes),
    }


def gradient_rows(m: Module, unit, fetch: Fetch) -> tuple:
    """Rows of gradients that ``fetch`` has read, exact ones rounded, none with ``skip``: a stream of rows and their
    addresses, whether one is being rounded, and whether one is too large for a float."""
    cfg, address = unit.cfg, unit.gradient_address.shape()
    source = stream.Signature(data.StructLayout({"row": unit.gradients.shape(), "beside": address})).create()
    rounded, rounding, saturated = source, Const(0), None
    if cfg.exact:
        m.submodules.rounds = rounds = RoundRows(cfg, address)
        wiring.connect(m, source, rounds.i)
        rounded, rounding, saturated = rounds.o, rounds.busy, rounds.saturated
    m.d.comb += [
        source.payload.row.eq(unit.gradients),
        source.payload.beside.eq(fetch.o.payload),
        source.valid.eq(fetch.o.valid & ~unit.skip),
        fetch.o.ready.eq(source.ready | unit.skip),
    ]
    return rounded, rounding, saturated


class UpdateUnit(wiring.Component):
    """Runs the optimiser's program on every row of parameters and clears its gradients; a row takes as many cycles as
    the program has steps. Exact gradients are rounded first. With ``skip`` gradients are only cleared, 1 cycle a row.

    The learning rate divided by loss scale and batch size comes as a significand and a power of two, so that it keeps
    its precision however small it is.

    Members
    -------
    job : In, `tile`, `count` rows `group_step` apart; numbers, keys : In, constants, see :class:`VectorSteps`; keys
        only of a program that compares
    start : In(1); busy : Out(1); skip : In(1)
    request, result... : a client of the shared multiply-adder
    saturated : Out(1), an exact gradient is too large for a float
    gradient_address, gradient_read, gradients; gradient_clear_address, gradient_clear
    row_address, row_read, row_write_address : of weights and of what is kept of them
    weights, momentum, squares : each ``old`` In, ``new`` and ``write`` Out; of those that the program has
    table_address, table_en, tables : per lane, a read port of the function table
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        rows = max((cfg.weight_rows - 1).bit_length(), 1)
        self.under_way = rows_under_way(cfg)
        self.tag = data.StructLayout({"address": rows, "slot": range(self.under_way)})
        self.steps = steps = VectorSteps(cfg, (cfg.update_program,), self.tag, self.under_way, lambda tag: tag.slot)
        self.kept = kept_names(cfg.update_program)
        super().__init__({
            "job": In(JOB.shape()),
            "numbers": In(steps.numbers.shape()),
            "start": In(1),
            "busy": Out(1),
            "skip": In(1),
            **update_ports(cfg, steps, (*self.kept, "w")),
            **({"keys": In(steps.keys.shape())} if steps.keys.shape().size else {}),
        })  # fmt: skip

    def reads(self, memory: str):
        """Whether a row is read from the memory of this name: from all alike."""
        return self.row_read

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.cfg, self.job
        rows = self.gradient_address.shape()
        address, left = Signal(rows), Signal(17)

        # Rows in order, with their gradient
        m.submodules.fetch = fetch = Fetch(rows)
        m.d.comb += [
            fetch.i.valid.eq(left.any()),
            fetch.i.payload.eq(address),
            self.gradient_address.eq(address),
            self.gradient_read.eq(fetch.en),
            self.gradient_clear_address.eq(fetch.o.payload),
            self.gradient_clear.eq(fetch.o.valid & fetch.o.ready),
        ]
        with m.If(self.start):
            m.d.sync += [address.eq(job.tile << cfg.lane_bits), left.eq(job.count)]
        with m.Elif(fetch.en):
            m.d.sync += [address.eq(address + job.group_step), left.eq(left - 1)]
        rounded, rounding, saturated = gradient_rows(m, self, fetch)
        if cfg.exact:
            m.d.comb += self.saturated.eq(saturated)

        # Then with the rest
        m.submodules.turn = turn = Fetch(rounded.payload.shape())
        wiring.connect(m, rounded, turn.i)
        m.submodules.steps = steps = self.steps
        connect_steps(m, self, steps)
        slot, under_way = Signal(range(self.under_way)), Signal(range(self.under_way + 1))
        enters = steps.i.valid & steps.i.ready
        free = under_way != self.under_way
        m.d.sync += [slot.eq(slot + enters), under_way.eq(under_way + enters - steps.done)]
        ports = {name: getattr(self, KEPT.get(name, "weights")) for name in (*self.kept, "w")}
        found = {"g": turn.o.payload.row} | {name: port.old for name, port in ports.items()}
        m.d.comb += [
            self.row_address.eq(turn.i.payload.beside),
            self.row_read.eq(turn.en),
            *(steps.i.payload.inputs[name].eq(found[name]) for name, _ in steps.inputs),
            steps.i.payload.tag.address.eq(turn.o.payload.beside),
            steps.i.payload.tag.slot.eq(slot),
            steps.i.valid.eq(turn.o.valid & free),
            turn.o.ready.eq(steps.i.ready & free),
            self.busy.eq(left.any() | fetch.o.valid | rounding | turn.o.valid | under_way.any()),
        ]
        for name, port in ports.items():
            m.d.comb += [port.write.eq(steps.there[name]), port.new.eq(steps.outputs[name])]
        m.d.comb += self.row_write_address.eq(steps.tag.address)
        return m
