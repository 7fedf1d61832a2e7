"""The array of processing elements: output-stationary accumulators around pipelined adders."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.add import FloatAdd
from trident.hw.arith.mul import FloatMul
from trident.hw.engines.skeleton.payloads import Payloads


class ProcessingArray(wiring.Component):
    """LANES x COLS processing elements: ``accumulator[entry] += row`` in every column that the mask selects.

    With ``multiply``, the row is first multiplied by the column's operand; where the row is zero, nothing is added. A
    column outside the mask adds -0, which leaves every value's bits unchanged. An accumulator's next addition may start
    ``add_stages + 1`` cycles after the last; an operation that comes sooner waits, nothing else does.

    Members
    -------
    i : stream of operations
    operand : In, what multiplies the row, per column (with ``multiply``)
    take : In(1), a row of ``partials`` is added to every value that is drained (with ``multiply``); ``short_paths``
        allow that in every other cycle
    partials : stream of rows, one per drain
    initial : In, where an accumulator starts (weight_grad: the gradient so far; otherwise zero)
    drain_ready : In(1), a drained value has a place to go
    drained, drained_valid : Out, values that leave
    following, moves : In, with ``short_paths``, what ``i`` has from the next cycle on, if it ``moves``: so whether an
        operation waits for its accumulator is known before
    idle : Out(1), no operation is under way
    stalled : Out(1), an operation waits for its accumulator or for the drain
    nonfinite : Out(1), a sum or product is infinite or not a number
    """

    def __init__(self, payloads: Payloads, multiply: bool):
        self.payloads, self.multiply = payloads, multiply
        super().__init__({
            "i": In(stream.Signature(payloads.op)),
            "operand": In(payloads.operand),
            "take": In(1),
            "partials": In(stream.Signature(payloads.cfg.row_bits)),
            "initial": In(payloads.drained["values"].shape),
            "drain_ready": In(1),
            "drained": Out(payloads.drained),
            "drained_valid": Out(1),
            "following": In(payloads.op),
            "moves": In(1),
            "idle": Out(1),
            "stalled": Out(1),
            "nonfinite": Out(1),
        })  # fmt: skip

    @property
    def latency(self) -> int:
        """Cycles from an operation to its drained value."""
        cfg = self.payloads.cfg
        return cfg.add_stages + self.multiply * cfg.mul_stages

    def elaborate(self, platform):
        m = Module()
        cfg, cols = self.payloads.cfg, self.payloads.cols
        fmt, width = cfg.format, cfg.width
        op = self.i.payload

        # An accumulator that is still in the adder cannot be read
        fire = Signal()
        hazard, complete = Signal(), Signal()  # complete: a drain has what is added to it
        recent = [
            (Signal(name=f"recent_valid{n}"), Signal(cfg.entry_bits, name=f"recent{n}")) for n in range(cfg.add_stages)
        ]
        writes = ~op.drain
        m.d.sync += [recent[0][0].eq(fire & writes), recent[0][1].eq(op.entry)]
        for (valid, entry), (next_valid, next_entry) in pairwise(recent):
            m.d.sync += [next_valid.eq(valid), next_entry.eq(entry)]
        m.d.comb += [
            self.i.ready.eq(~hazard & (~op.drain | self.drain_ready & complete)),
            self.stalled.eq(self.i.valid & ~self.i.ready),
            fire.eq(self.i.valid & self.i.ready),
        ]

        def must_wait(op, under_way):
            return ~op.first & Cat(valid & (entry == op.entry) for valid, entry in under_way).any()

        if cfg.short_paths:
            m.d.sync += complete.eq(self.partials.valid & ~self.partials.ready | ~self.take)
            moved = must_wait(self.following, [(fire & writes, op.entry), *recent[:-1]])
            m.d.sync += hazard.eq(Mux(self.moves, moved, must_wait(op, recent[:-1])))
        else:
            m.d.comb += [hazard.eq(must_wait(op, recent)), complete.eq(self.partials.valid | ~self.take)]

        # Control travels beside the arithmetic
        def delay(value, cycles):
            for _ in range(cycles):
                stage = Signal.like(value, name=f"delay{len(delays)}")
                delays.append(stage)
                m.d.sync += stage.eq(value)
                value = stage
            return value

        delays = []
        taking = op.drain & self.take
        mask = Mux(taking, 1 << op.tag.col, op.mask) if self.multiply else op.mask
        m.d.comb += self.partials.ready.eq(fire & taking)
        control = Cat(op.entry, op.first, mask[:cols])
        before = cfg.mul_stages if self.multiply else 0
        at_add = delay(Cat(fire, control), before)
        # A weight of zero adds nothing, even to an error that has overflowed: lanes without a channel hold zeros
        weights = [op.row[low : low + width - 1].any() for low in range(0, cfg.row_bits, width)]
        present_lanes = delay(Cat(weights), before) if self.multiply else None
        partial = delay(Cat(self.partials.payload, taking), before) if self.multiply else None
        add_entry = at_add[1 : 1 + cfg.entry_bits]
        add_first = at_add[1 + cfg.entry_bits]
        add_mask = at_add[2 + cfg.entry_bits :]
        initial = delay(self.initial.as_value(), before) if self.payloads.engine == "weight_grad" else None
        leave = delay(Cat(fire & ~op.drain, fire & op.drain), self.latency)
        end_entry = delay(add_entry, cfg.add_stages)
        tag = delay(op.tag.as_value(), self.latency)

        shape = cols * cfg.row_bits
        m.submodules.accumulators = accumulators = memory.Memory(shape=shape, depth=cfg.accumulators, init=[])
        read = accumulators.read_port(domain="comb")
        write = accumulators.write_port()
        m.d.comb += [
            read.addr.eq(add_entry),
            write.addr.eq(end_entry),
            write.en.eq(leave[0]),
            write.data.eq(self.drained.values.as_value()),
            self.drained_valid.eq(leave[1]),
            self.drained.tag.eq(tag),
        ]

        start = Const(0, cols * cfg.row_bits) if initial is None else initial
        present = Signal(cols * cfg.row_bits)
        m.d.comb += present.eq(Mux(add_first, start, read.data))
        flags = []
        for col in range(cols):
            for lane in range(cfg.lanes):
                low = lane * width
                value = op.row[low : low + width]
                if self.multiply:
                    m.submodules[f"mul_{col}_{lane}"] = mul = FloatMul(
                        fmt, cfg.mul_stages, subnormals=cfg.multiplier_subnormals
                    )
                    m.d.comb += [mul.a.eq(value), mul.b.eq(self.operand[col])]
                    value = Mux(present_lanes[lane], mul.o, fmt.negative_zero)
                    value = Mux(partial[cfg.row_bits], partial[low : low + width], value)
                m.submodules[f"add_{col}_{lane}"] = add = FloatAdd(fmt, cfg.add_stages)
                at = col * cfg.row_bits + low
                m.d.comb += [
                    add.a.eq(present[at : at + width]),
                    add.b.eq(Mux(add_mask[col], value, fmt.negative_zero)),
                    self.drained.values[col][low : low + width].eq(add.o),
                ]
                flags.append(add.nonfinite)
        m.d.comb += self.nonfinite.eq(Cat(flags).any() & leave.any())

        flying = [fire]
        for _ in range(self.latency):
            stage = Signal(name=f"flying{len(flying)}")
            m.d.sync += stage.eq(flying[-1])
            flying.append(stage)
        m.d.comb += self.idle.eq(~Cat(flying).any())
        return m
