"""One multiplier and one adder for everything that a small core computes."""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.add import FloatAdd
from trident.hw.arith.mac import SCALE_BITS, choose, mac_request
from trident.hw.arith.mul import FloatMul
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.isa.config import CoreConfig


def shared_op(cfg: CoreConfig) -> data.StructLayout:
    """An addition of the shared engine."""
    return data.StructLayout({
        "entry": cfg.entry_bits,
        "gradient": 1,  # to a gradient, not to an accumulator
        "product": 1,  # of weight times error
        "given": 1,  # of a row that comes with the operation
        "drain": 1,  # the accumulator is zero afterwards
        "leave": 1,  # the sum leaves
        "tag": Payloads(cfg, "forward").place,
    })  # fmt: skip


class SharedArray(wiring.Component):
    """Accumulators or gradients plus weights, errors, their products or a given row; and between those, the
    multiply-adds of the units that compute little, which go first.

    Nothing waits once it is issued. An operation's sum is there ``latency`` cycles after it, a multiply-add's
    ``cfg.mac_stages`` after its request. An operation on the same sum may come ``add_stages + 2`` cycles later.

    Members
    -------
    valid, op, given : In, an operation and its row; taken : Out(1), none may be issued in this cycle
    weights, errors : In, what memories give a cycle after the operation
    read_tile, read_en, read_data; write_tile, write_en, write_data : gradients
    sum, tag : Out; leaves : Out(1), an operation's sum leaves; fault : Out(1), one is infinite or not a number
    flying : Out(1), operations are under way
    i, o, o_tag, o_valid, nonfinite : multiply-adds, see :class:`SharedMac`
    """

    def __init__(self, cfg: CoreConfig, tag_bits: list[int]):
        self.cfg, self.clients = cfg, len(tag_bits)
        self.shape = shared_op(cfg)
        self.request = mac_request(cfg, max(tag_bits))
        self.tag_bits = max(*tag_bits, self.shape["tag"].shape.size)  # either's
        address = cfg.address_bits
        super().__init__({
            "valid": In(1),
            "op": In(self.shape),
            "given": In(cfg.width),
            "taken": Out(1),
            "weights": In(cfg.width),
            "errors": In(cfg.width),
            "read_tile": Out(address),
            "read_en": Out(1),
            "read_data": In(cfg.width),
            "write_tile": Out(address),
            "write_en": Out(1),
            "write_data": Out(cfg.width),
            "sum": Out(cfg.width),
            "tag": Out(self.shape["tag"].shape),
            "leaves": Out(1),
            "fault": Out(1),
            "flying": Out(1),
            "i": In(stream.Signature(self.request)).array(self.clients),
            "o": Out(cfg.width),
            "o_tag": Out(max(tag_bits)),
            "o_valid": Out(self.clients),
            "nonfinite": Out(1),
        })  # fmt: skip

    @property
    def latency(self) -> int:
        """Cycles from an operation to its sum."""
        return 2 + self.cfg.mul_stages + self.cfg.add_stages

    def elaborate(self, platform):
        m = Module()
        cfg, width = self.cfg, self.cfg.width
        fmt = cfg.format
        depth = 2 + cfg.mul_stages  # cycles until the sum is read

        # A request waits in a register for a cycle in which no operation is issued, and one more beside the memories
        chosen, grant = choose(m, self.i, self.request)
        asked = [Signal(self.request, name=f"asked{n}") for n in range(2)]
        whose = Signal(self.clients)
        m.d.sync += [asked[0].eq(chosen), asked[1].eq(asked[0]), whose.eq(grant)]
        m.d.comb += self.taken.eq(whose.any())

        # Control travels beside the arithmetic: stage n holds what was issued n cycles ago
        tag_shape = self.shape["tag"].shape
        flags = data.StructLayout({name: field.shape for name, field in self.shape if name != "tag"})
        shape = data.StructLayout({"valid": 1, "whose": self.clients, "flags": flags, "tag": self.tag_bits})
        stages = [Signal(shape, name=f"stage{n}") for n in range(self.latency + 1)]
        m.d.comb += [
            stages[0].valid.eq(self.valid),
            stages[0].whose.eq(whose),
            *(stages[0].flags[name].eq(self.op[name]) for name, _ in flags),
            stages[0].tag.eq(Mux(self.taken, asked[0].tag, self.op.tag.as_value())),
        ]
        m.d.sync += [after.eq(before) for before, after in pairwise(stages)]
        at_read, at_sum, at_end = stages[1], stages[depth], stages[-1]

        # What is multiplied, and what goes beside it
        given = Signal(width)
        factors = [Signal(width, name=f"factor{n}") for n in range(2)]
        scale = Signal.like(asked[1].scale)
        beside = data.StructLayout({"row": width, "present": 1})
        carried = [Signal(beside, name=f"beside{n}") for n in range(cfg.mul_stages + 1)]
        mine = at_read.whose.any()
        m.d.sync += [
            given.eq(self.given),
            factors[0].eq(Mux(mine, asked[1].a, self.weights)),
            factors[1].eq(Mux(mine, asked[1].b, self.errors)),
            scale.eq(Mux(mine, asked[1].scale, 0)),
            # A weight of zero adds nothing, even to an error that has overflowed
            carried[0].present.eq(mine | self.weights[: width - 1].any()),
            *(after.eq(before) for before, after in pairwise(carried)),
        ]
        with m.If(mine):
            m.d.sync += carried[0].row.eq(asked[1].c)
        with m.Elif(at_read.flags.given):
            m.d.sync += carried[0].row.eq(given)
        with m.Else():
            m.d.sync += carried[0].row.eq(Mux(at_read.flags.gradient, self.errors, self.weights))

        m.submodules.mul = mul = FloatMul(
            fmt, cfg.mul_stages, subnormals=cfg.multiplier_subnormals, scale_bits=SCALE_BITS
        )
        m.submodules.add = add = FloatAdd(fmt, cfg.add_stages)
        m.submodules.accumulators = accumulators = memory.Memory(shape=width, depth=cfg.accumulators, init=[])
        sums, store = accumulators.read_port(domain="comb"), accumulators.write_port()
        reading = stages[depth - 1]
        other = carried[-1].row
        product = Mux(carried[-1].present, mul.o, fmt.negative_zero)
        m.d.comb += [
            mul.a.eq(factors[0]),
            mul.b.eq(factors[1]),
            mul.scale.eq(scale),
            self.read_tile.eq(tag_shape(reading.tag[: tag_shape.size]).address),
            self.read_en.eq(reading.valid & reading.flags.gradient),
            sums.addr.eq(at_sum.flags.entry),
            add.a.eq(Mux(at_sum.whose.any(), other, Mux(at_sum.flags.gradient, self.read_data, sums.data))),
            add.b.eq(Mux(at_sum.whose.any() | at_sum.flags.product, product, other)),
            store.addr.eq(at_end.flags.entry),
            store.data.eq(Mux(at_end.flags.drain, 0, add.o)),
            store.en.eq(at_end.valid & ~at_end.flags.gradient),
            self.tag.eq(at_end.tag),
            self.write_tile.eq(self.tag.address),
            self.write_en.eq(at_end.valid & at_end.flags.gradient),
            self.write_data.eq(add.o),
            self.sum.eq(add.o),
            self.leaves.eq(at_end.valid & at_end.flags.leave),
            self.fault.eq(add.nonfinite & at_end.valid),
            self.flying.eq(Cat(stage.valid for stage in stages[1:]).any()),
            self.o.eq(add.o),
            self.o_tag.eq(at_end.tag),
            self.o_valid.eq(at_end.whose),
            self.nonfinite.eq(add.nonfinite),
        ]
        return m
