"""The update unit: stochastic gradient descent with momentum, skipped when a gradient has overflowed."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.mac import every_lane, mac_request
from trident.hw.isa.config import CoreConfig
from trident.hw.isa.job import JOB
from trident.hw.lib.fetch import Fetch
from trident.hw.units.parts.passes import PassLoop
from trident.hw.units.parts.rounding import RoundRows


class UpdateUnit(wiring.Component):
    """``v = momentum * v + g``; ``w = -rate * 2**exponent * v + w``; ``g = 0``, row by row, 2 cycles a row. Exact
    gradients are rounded first.

    With ``skip`` only the gradients are cleared, 1 cycle a row. The learning rate divided by loss scale and batch size
    comes as a significand and a power of two, so that it keeps its precision however small it is.

    Members
    -------
    job : In, `tile`, `count` rows `group_step` apart, and the constants; start : In(1); busy : Out(1); skip : In(1)
    request, result... : a client of the shared multiply-adder
    saturated : Out(1), an exact gradient is too large for a float
    gradient_address, gradient_read, gradients; gradient_clear_address, gradient_clear
    momentum_address, momentum_read, momenta; momentum_write_address, momentum_write, momentum_data
    weight_address, weight_read, weights; weight_write_address, weight_write, weight_data
    """

    def __init__(self, cfg: CoreConfig):
        self.cfg = cfg
        rows = max((cfg.weight_rows - 1).bit_length(), 1)
        self.tag = data.StructLayout({"address": rows, "again": 1})
        self.item = data.StructLayout({"row": cfg.row_bits, "tag": self.tag})
        super().__init__({
            "job": In(JOB.shape()),
            "start": In(1),
            "busy": Out(1),
            "skip": In(1),
            "request": Out(stream.Signature(mac_request(cfg, self.tag.size))),
            "result": In(cfg.row_bits),
            "result_tag": In(self.tag.size),
            "result_valid": In(1),
            "saturated": Out(1),
            **{f"{name}_address": Out(rows) for name in ("gradient", "momentum", "weight")},
            **{f"{name}_read": Out(1) for name in ("gradient", "momentum", "weight")},
            **{name: In(cfg.row_bits) for name in ("momenta", "weights")},
            "gradients": In(cfg.gradient_row_bits),
            "gradient_clear_address": Out(rows),
            "gradient_clear": Out(1),
            **{f"{name}_write_address": Out(rows) for name in ("momentum", "weight")},
            **{f"{name}_write": Out(1) for name in ("momentum", "weight")},
            **{f"{name}_data": Out(cfg.row_bits) for name in ("momentum", "weight")},
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        cfg, job, width = self.cfg, self.job, self.cfg.width
        rows = len(self.gradient_address)
        address, left = Signal(rows), Signal(17)

        # Rows in order, with their gradient and momentum
        m.submodules.fetch = fetch = Fetch(self.tag)
        m.d.comb += [
            fetch.i.valid.eq(left.any()),
            fetch.i.payload.address.eq(address),
            self.gradient_address.eq(address),
            self.gradient_read.eq(fetch.en),
            self.momentum_address.eq(address),
            self.momentum_read.eq(fetch.en),
        ]
        with m.If(self.start):
            m.d.sync += [address.eq(job.tile << cfg.lane_bits), left.eq(job.count)]
        with m.Elif(fetch.en):
            m.d.sync += [address.eq(address + job.group_step), left.eq(left - 1)]

        # First pass: momentum; second: weight, which is read while the row waits its turn
        m.submodules.passes = passes = PassLoop(self.item, depth=cfg.mac_stages + 4)
        m.submodules.turn = turn = Fetch(self.item)
        beside = data.StructLayout({"tag": self.tag, "momenta": cfg.row_bits})
        source = stream.Signature(data.StructLayout({"row": self.gradients.shape(), "beside": beside})).create()
        rounded, rounding = source, Const(0)
        if cfg.exact:
            m.submodules.rounds = rounds = RoundRows(cfg, beside)
            wiring.connect(m, source, rounds.i)
            m.d.comb += self.saturated.eq(rounds.saturated)
            rounded, rounding = rounds.o, rounds.busy
        entering = Signal(self.item)
        m.d.comb += [
            source.payload.row.eq(self.gradients),
            source.payload.beside.tag.eq(fetch.o.payload),
            source.payload.beside.momenta.eq(self.momenta),
            source.valid.eq(fetch.o.valid & ~self.skip),
            fetch.o.ready.eq(source.ready | self.skip),
            entering.tag.eq(rounded.payload.beside.tag),
            entering.row.eq(rounded.payload.row),
            passes.i.payload.eq(entering),
            passes.i.valid.eq(rounded.valid),
            rounded.ready.eq(passes.i.ready),
            self.gradient_clear_address.eq(fetch.o.payload.address),
            self.gradient_clear.eq(fetch.o.valid & fetch.o.ready),
            self.weight_address.eq(passes.o.payload.tag.address),
            self.weight_read.eq(turn.en & passes.again),
        ]
        wiring.connect(m, passes.o, turn.i)
        momentum = Signal(cfg.row_bits)  # beside the row that waits for its first pass
        with m.If(turn.en & ~passes.again):
            m.d.sync += momentum.eq(rounded.payload.beside.momenta)
        row = turn.o.payload
        again = row.tag.again
        request = self.request.payload
        minus_rate = job.threshold[:width]
        m.d.comb += [
            self.request.valid.eq(turn.o.valid),
            turn.o.ready.eq(self.request.ready),
            request.tag.eq(row.tag),
            request.a.eq(Mux(again, every_lane(cfg, minus_rate), every_lane(cfg, job.leak[:width]))),
            request.b.eq(Mux(again, row.row, momentum)),
            request.c.eq(Mux(again, self.weights, row.row)),
            request.scale.eq(Mux(again, job.exponent.as_signed(), Const(0, 1))),
        ]

        done = Signal(self.tag)
        m.d.comb += [
            done.eq(self.result_tag),
            passes.back.row.eq(self.result),
            passes.back.tag.address.eq(done.address),
            passes.back.tag.again.eq(1),
            passes.back_valid.eq(self.result_valid & ~done.again),
            self.momentum_write_address.eq(done.address),
            self.momentum_write.eq(self.result_valid & ~done.again),
            self.momentum_data.eq(self.result),
            self.weight_write_address.eq(done.address),
            self.weight_write.eq(self.result_valid & done.again),
            self.weight_data.eq(self.result),
        ]
        inside = Signal(range(passes.depth + 1))
        m.d.sync += inside.eq(inside + (passes.i.valid & passes.i.ready) - (self.result_valid & done.again))
        m.d.comb += self.busy.eq(left.any() | fetch.o.valid | rounding | inside.any())
        return m
