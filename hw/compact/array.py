"""One multiplier and one exact sum for everything that a small core computes."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.align import Align
from trident.hw.arith.mac import SCALE_BITS, choose, mac_request
from trident.hw.arith.mul import FloatMul
from trident.hw.arith.sums import Round
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.isa.config import CoreConfig


def shared_op(cfg: CoreConfig) -> data.StructLayout:
    """An addition to an accumulator: of a weight, if no bit says what else."""
    return data.StructLayout({
        "entry": cfg.entry_bits,
        "error": 1,  # of an error
        "product": 1,  # of weight times error
        "given": 1,  # of a row that comes with the operation
        "gradient": 1,  # of a gradient, which the rounded sum replaces
        "drain": 1,  # the accumulator is zero afterwards
        "leave": 1,  # the rounded sum leaves
        "tag": Payloads(cfg, "forward").place,
    })  # fmt: skip


class SharedArray(wiring.Component):
    """Accumulators plus weights, errors, their products, gradients or given rows; and between those, the multiply-adds
    of the units that compute little, which go first: their product is a sum that what is added to it follows at once.

    Nothing waits once it is issued. An operation finds what the one before it has left; its rounded sum is there
    ``latency`` cycles later, a multiply-add's ``cfg.mac_stages`` after its request. One of those takes two cycles.

    Members
    -------
    exponent : In, the exponent code from which on weights, products and errors are too large
    valid, op, given : In, an operation and its row; taken : Out(1), none may be issued in this cycle
    weights, errors, gradients : In, what memories give a cycle after the operation
    sum, tag : Out, a rounded sum; leaves, writes : Out(1), it leaves, it replaces the gradient at the tag's address
    fault : Out(1), a number was too large and is not in the sum, or a rounded sum is
    flying : Out(1), operations are under way
    i, o, o_tag, o_valid, nonfinite : multiply-adds, see :class:`SharedMac`
    """

    def __init__(self, cfg: CoreConfig, tag_bits: list[int]):
        self.cfg, self.clients = cfg, len(tag_bits)
        self.shape = shared_op(cfg)
        self.request = mac_request(cfg, max(tag_bits))
        self.tag_bits = max(*tag_bits, self.shape["tag"].shape.size)  # either's
        super().__init__({
            "exponent": In(cfg.exp),
            "valid": In(1),
            "op": In(self.shape),
            "given": In(cfg.width),
            "taken": Out(1),
            "weights": In(cfg.width),
            "errors": In(cfg.width),
            "gradients": In(cfg.width),
            "sum": Out(cfg.width),
            "tag": Out(self.shape["tag"].shape),
            "leaves": Out(1),
            "writes": Out(1),
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
        """Cycles from an operation to its rounded sum."""
        return 4 + self.cfg.mul_stages + self.cfg.round_stages

    def elaborate(self, platform):
        m = Module()
        cfg, width, bits = self.cfg, self.cfg.width, self.cfg.fixed.bits
        fmt = cfg.format

        # A request waits in a register for the two cycles in which no operation is issued: of its product, and of what
        # is added to that
        chosen, grant = choose(m, self.i, self.request)
        asked = Signal(self.request)
        whose = [Signal(self.clients, name=f"whose{n}") for n in range(2)]
        multiplies, adds = whose[0].any(), whose[1].any()
        m.d.sync += whose[1].eq(whose[0])
        with m.If(multiplies):
            m.d.comb += [client.ready.eq(0) for client in self.i]
            m.d.sync += whose[0].eq(0)
        with m.Else():
            m.d.sync += [asked.eq(chosen), whose[0].eq(grant)]
        m.d.comb += self.taken.eq(multiplies | adds)

        # Control travels beside the arithmetic: stage n holds what was issued n cycles ago
        flags = data.StructLayout({name: field.shape for name, field in self.shape if name != "tag"})
        shape = data.StructLayout({
            "valid": 1, "multiplies": 1, "adds": 1, "whose": self.clients, "flags": flags, "tag": self.tag_bits,
        })  # fmt: skip
        stages = [Signal(shape, name=f"stage{n}") for n in range(self.latency + 1)]
        m.d.comb += [
            stages[0].valid.eq(self.valid),
            stages[0].multiplies.eq(multiplies),
            stages[0].adds.eq(adds),
            stages[0].whose.eq(whose[1]),
            *(stages[0].flags[name].eq(self.op[name]) for name, _ in flags),
            stages[0].flags.product.eq(multiplies | self.op.product & ~adds),
            stages[0].flags.given.eq(adds | self.op.given),
            stages[0].tag.eq(Mux(adds, asked.tag, self.op.tag.as_value())),
        ]
        m.d.sync += [after.eq(before) for before, after in pairwise(stages)]
        at_read, at_end = stages[1], stages[-1]
        at_align, at_sum = stages[2 + cfg.mul_stages :][:2]

        # What is multiplied, and what goes beside it
        given = Signal(width)
        factors = [Signal(width, name=f"factor{n}") for n in range(2)]
        scale = Signal.like(asked.scales[0])
        beside = data.StructLayout({"row": width, "present": 1})
        carried = [Signal(beside, name=f"beside{n}") for n in range(cfg.mul_stages + 1)]
        mine = at_read.multiplies
        m.d.sync += [
            given.eq(Mux(adds, asked.c, self.given)),
            factors[0].eq(Mux(mine, asked.a, self.weights)),
            factors[1].eq(Mux(mine, asked.b, self.errors)),
            scale.eq(Mux(mine, asked.scales[0], 0)),
            # A weight of zero adds nothing, even to an error that has overflowed
            carried[0].present.eq(mine | ~at_read.flags.product | self.weights[: width - 1].any()),
            *(after.eq(before) for before, after in pairwise(carried)),
        ]
        with m.If(at_read.flags.given):
            m.d.sync += carried[0].row.eq(given)
        with m.Elif(at_read.flags.gradient):
            m.d.sync += carried[0].row.eq(self.gradients)
        with m.Else():
            m.d.sync += carried[0].row.eq(Mux(at_read.flags.error, self.errors, self.weights))
        m.submodules.mul = mul = FloatMul(
            fmt, cfg.mul_stages, subnormals=cfg.multiplier_subnormals, scale_bits=SCALE_BITS
        )
        m.d.comb += [mul.a.eq(factors[0]), mul.b.eq(factors[1]), mul.scale.eq(scale)]

        # A term; negated without the one that the sum's carry adds
        m.submodules.align = align = Align(fmt, cfg.fixed)
        present, fits, limit = carried[-1].present, Signal(), Signal(cfg.exp)
        term, negative, large = Signal(len(align.magnitude)), Signal(), Signal()
        pair_limit = cfg.fixed.of_pairs(fmt).limit(fmt, 2)
        m.d.comb += [
            limit.eq(Mux(at_align.flags.given | at_align.flags.gradient, cfg.given_limit, self.exponent)),
            align.i.eq(Mux(at_align.flags.product, mul.o, carried[-1].row)),
            align.add.eq(1),
            fits.eq(align.i[fmt.frac : -1] < limit),
        ]
        with m.If(at_align.multiplies | at_align.adds):
            m.d.comb += limit.eq(pair_limit)
        m.d.sync += [
            term.eq(align.magnitude ^ align.sign.replicate(len(term))),
            negative.eq(align.sign),
            large.eq(present & ~fits),
        ]
        with m.If(~present | ~fits):
            m.d.sync += [term.eq(0), negative.eq(0)]

        # Sums; beside an accumulator is a bit that says that it is not zero
        m.submodules.accumulators = accumulators = memory.Memory(shape=bits + 1, depth=cfg.accumulators, init=[])
        sums, store = accumulators.read_port(domain="comb"), accumulators.write_port()
        held = sums.data[-1] & at_sum.valid
        start, total, last = Signal(bits), Signal(bits), Signal(bits)
        m.d.comb += [
            sums.addr.eq(at_sum.flags.entry),
            start.eq(Mux(at_sum.adds, last, sums.data[:bits] & held.replicate(bits))),
            total.eq((Cat(negative, start) + Cat(negative, term, negative.replicate(bits - len(term))))[1 : bits + 1]),
            store.addr.eq(at_sum.flags.entry),
            store.data.eq(Cat(total, ~at_sum.flags.drain)),
            store.en.eq(at_sum.valid),
        ]
        m.submodules.round = rounding = Round(fmt, cfg.fixed, cfg.round_stages)
        before, overflow = Signal(), Signal()  # of a multiply-add
        overflows = [Signal(name=f"overflows{n}") for n in range(cfg.round_stages + 1)]
        m.d.comb += overflow.eq(at_sum.adds & (large | before))
        m.d.sync += [
            last.eq(total),
            before.eq(large),
            overflows[0].eq(overflow),
            *(after.eq(earlier) for earlier, after in pairwise(overflows)),
        ]
        with m.If(overflow):
            m.d.sync += last.eq(0)

        # Gradients are added to again, so they do not become infinite
        too_large = self.writes & (rounding.o[fmt.frac : -1] >= cfg.given_limit)
        largest = Cat(Const((cfg.given_limit << fmt.frac) - 1, width - 1), rounding.o[-1])
        m.d.comb += [
            rounding.i.eq(last),
            self.sum.eq(Mux(too_large, largest, rounding.o)),
            self.tag.eq(at_end.tag),
            self.leaves.eq(at_end.valid & at_end.flags.leave),
            self.writes.eq(at_end.valid & at_end.flags.gradient),
            self.fault.eq((large & at_sum.valid) | too_large | (rounding.nonfinite & self.leaves)),
            self.flying.eq(Cat(stage.valid for stage in stages[1:]).any()),
            self.o.eq(rounding.o | Mux(overflows[-1], fmt.inf, 0)),
            self.o_tag.eq(at_end.tag),
            self.o_valid.eq(at_end.whose),
            self.nonfinite.eq(rounding.nonfinite | overflows[-1]),
        ]
        return m
