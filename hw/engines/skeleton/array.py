"""The array of processing elements: output-stationary accumulators, exact sums, one addition per cycle."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from trident.hw.arith.add import add_term
from trident.hw.arith.align import Term
from trident.hw.arith.mul import FloatMul
from trident.hw.arith.sums import Round
from trident.hw.engines.skeleton.payloads import Payloads
from trident.hw.isa.planes import SHIFT
from trident.hw.lib.parts import lane_sum, to_parts


class ProcessingArray(wiring.Component):
    """LANES x COLS processing elements: ``accumulator[entry] += row`` in every column that the mask selects.

    ::

        row (times operand) --> term --> + accumulators --> round --> drained
                                1 cycle  1 cycle            round_stages

    With ``multiply``, the row is first multiplied by the column's operand, which takes ``mul_stages``; where the row is
    zero, nothing is added. A number that is too large for the sum, by its exponent code, is left out and is a fault.
    Any entry takes an addition in any cycle. What is drained leaves with its sum rounded: of the column ``tag.col`` or,
    for weight_grad, of all columns. Exact gradients leave as they are, after 2 cycles, and with ``raw`` so do
    backward's sums, as a row of parts.

    Members
    -------
    i : stream of operations
    limit : In, the exponent code from which on a number of the row, or a product, is too large
    operand : In, what multiplies the row, per column (with ``multiply``)
    take : In(1), a row of ``partials`` is added to every value that is drained; ``short_paths`` allow that in every
        other cycle
    partials : stream of rows, or of rows of parts, one per drain
    raw : In(1), sums leave as they are (with ``multiply``, of exact sums)
    initial : In, where an accumulator starts (weight_grad: the gradient so far; otherwise zero)
    drain_ready : In(1), a drained value has a place to go
    drained, drained_valid : Out, values that leave
    idle : Out(1), no operation is under way
    stalled : Out(1), an operation waits for the drain
    nonfinite : Out(1), a number that was to be added is too large, or a rounded sum is
    """

    def __init__(self, payloads: Payloads, multiply: bool):
        self.payloads, self.multiply = payloads, multiply
        self.fixed = payloads.cfg.fixed_of(payloads.engine)
        super().__init__({
            "i": In(stream.Signature(payloads.op)),
            "limit": In(payloads.cfg.exp),
            "operand": In(payloads.operand),
            "take": In(1),
            "partials": In(stream.Signature(payloads.cfg.sum_row_bits)),
            "raw": In(1),
            "initial": In(payloads.drained["values"].shape),
            "drain_ready": In(1),
            "drained": Out(payloads.drained),
            "drained_valid": Out(1),
            "idle": Out(1),
            "stalled": Out(1),
            "nonfinite": Out(1),
        })  # fmt: skip

    @property
    def latency(self) -> int:
        """Cycles from an operation to its drained value."""
        return 2 + self._rounding + self._before

    @property
    def _rounding(self) -> int:
        """Cycles from a sum to what leaves."""
        kept = self.payloads.engine == "weight_grad" and self.payloads.cfg.exact
        return 0 if kept else self.payloads.cfg.round_stages

    @property
    def _before(self) -> int:
        """Cycles from an operation to its terms: of the multiplier, or for what comes out of the gradient memory."""
        cfg = self.payloads.cfg
        if self.multiply:
            return cfg.mul_stages
        return int(cfg.short_paths and self.payloads.engine == "weight_grad")

    def elaborate(self, platform):
        m = Module()
        cfg, cols = self.payloads.cfg, self.payloads.cols
        op = self.i.payload
        fire, complete = Signal(), Signal()  # complete: a drain has what is added to it
        if cfg.short_paths:
            m.d.sync += complete.eq(self.partials.valid & ~self.partials.ready | ~self.take)
        else:
            m.d.comb += complete.eq(self.partials.valid | ~self.take)
        m.d.comb += [
            self.i.ready.eq(~op.drain | self.drain_ready & complete),
            self.stalled.eq(self.i.valid & ~self.i.ready),
            fire.eq(self.i.valid & self.i.ready),
            self.partials.ready.eq(fire & op.drain & self.take),
        ]

        # Control travels beside the arithmetic: with the row or product, with the term, to the end
        control = Signal(self.payloads.control)
        m.d.comb += [
            control.fire.eq(fire),
            control.taking.eq(op.drain & self.take),
            *(control[name].eq(op[name]) for name, _ in control.shape() if name not in ("fire", "taking")),
        ]
        self.large = []  # of every term, whether it is too large
        at_term = _delay(m, control, self._before, "ready")
        at_add = _delay(m, at_term, 1, "added")
        self.partial = _delay(m, self.partials.payload, self._before, "partial")
        self.start = _delay(m, self.initial.as_value(), self._before, "initial")
        terms = self._products(m, op, at_term) if self.multiply else self._rows(m, op, at_term)
        if cfg.exact:  # sums that are given need no term
            self.partial = _delay(m, self.partial, 1, "given")
            self.start = _delay(m, self.start, 1, "kept")
        totals = [
            [self._element(m, at_add, at_term, col, lane, *terms[col][lane]) for lane in range(cfg.lanes)]
            for col in range(cols)
        ]
        leaving = _delay(m, at_add.fire & at_add.drain, 1, "leaving")
        infinite = self._drain(m, totals, at_add.tag.col)
        m.d.comb += [
            self.drained_valid.eq(_delay(m, leaving, self._rounding, "rounded")),
            self.drained.tag.eq(_delay(m, at_add.tag, 1 + self._rounding, "tag")),
        ]
        m.d.sync += self.nonfinite.eq(Cat(self.large).any() | self.drained_valid & infinite)

        flying = [fire]
        for n in range(self.latency + 1):  # a fault is known a cycle later than the sum
            flying.append(_delay(m, flying[-1], 1, f"flying{n}_"))
        m.d.comb += self.idle.eq(~Cat(flying).any())
        return m

    def _term(self, m: Module, name: str, value, add, limit, control=None):
        """Magnitude and sign of a term, a cycle later; a plane's, if the control of its row says so."""
        m.submodules[name] = term = Term(self.payloads.cfg.format, self.fixed, shifts=control is not None)
        m.d.comb += [term.i.eq(value), term.add.eq(add), term.limit.eq(limit)]
        if control is not None:
            m.d.comb += [term.i[-1].eq(value[-1] ^ control.negative), term.shift.eq(control.shift)]
        self.large.append(term.large)
        return term.magnitude, term.sign

    def _rows(self, m: Module, op, control):
        """A term per lane, which all columns share: of the row or, for a drain, of what other cores have summed."""
        cfg, width, row = self.payloads.cfg, self.payloads.cfg.width, _delay(m, op.row, self._before, "row")
        add, limit = control.fire & control.mask.any(), self.limit
        if self.payloads.engine == "weight_grad":
            if cfg.exact:
                add = add & ~control.taking
            else:
                row = Mux(control.taking, self.partial, row)
                limit = Mux(control.taking, cfg.given_limit, self.limit)
        adds = [add] * cfg.lanes
        if self.payloads.apart:
            adds = [add & self._joined(control, lane).any() for lane in range(cfg.lanes)]
        terms = [
            self._term(
                m, f"term_{n}", row[n * width : (n + 1) * width], adds[n], limit,
                control if self.payloads.planes else None,
            )
            for n in range(cfg.lanes)
        ]  # fmt: skip
        return [terms] * self.payloads.cols

    def _joined(self, control, lane: int):
        """Columns that add to a lane: those that the mask selects, but for inputs of other groups."""
        if not self.payloads.apart:
            return control.mask
        return control.mask & Cat(control.joins[col][lane] | control.taking for col in range(self.payloads.cols))

    def _products(self, m: Module, op, control):
        """A term per element: the product or, for a drain, what other cores have summed."""
        cfg, width = self.payloads.cfg, self.payloads.cfg.width
        # A weight of zero adds nothing, even to an error that has overflowed: lanes without a channel hold zeros
        weights = [op.row[low : low + width - 1].any() for low in range(0, cfg.row_bits, width)]
        present = _delay(m, Cat(weights), cfg.mul_stages, "present")
        limit = self.limit if cfg.exact else Mux(control.taking, cfg.given_limit, self.limit)
        terms = []
        for col in range(self.payloads.cols):
            terms.append([])
            for lane in range(cfg.lanes):
                at = slice(lane * width, (lane + 1) * width)
                m.submodules[f"mul_{col}_{lane}"] = mul = FloatMul(
                    cfg.format, cfg.mul_stages, cfg.multiplier_subnormals, SHIFT.width if self.payloads.scales else 0
                )
                m.d.comb += [mul.a.eq(op.row[at]), mul.b.eq(self.operand[col])]
                if self.payloads.scales:
                    m.d.comb += mul.scale.eq(op.shift)
                value, add = mul.o, control.mask[col] & present[lane]
                if not cfg.exact:
                    value = Mux(control.taking, self.partial[at], value)
                    add = Mux(control.taking, control.tag.col == col, add)
                terms[col].append(self._term(m, f"term_{col}_{lane}", value, control.fire & add, limit))
        return terms

    def _element(self, m: Module, control, before, col: int, lane: int, magnitude, sign):
        """A processing element: an adder around its accumulators; returns the sum. ``before``: the control of the cycle
        before, in which the term is made."""
        cfg, bits = self.payloads.cfg, self.fixed.bits
        m.submodules[f"accumulators_{col}_{lane}"] = accumulators = memory.Memory(
            shape=bits, depth=cfg.accumulators, init=[]
        )
        read, write = accumulators.read_port(domain="comb"), accumulators.write_port()
        start, total = Signal(bits), Signal(bits, name=f"total_{col}_{lane}")
        m.d.comb += start.eq(Mux(control.first, 0, read.data))
        if self.payloads.engine == "weight_grad":
            low, width = col * self.payloads.value_bits, bits if cfg.exact else cfg.width
            given = self.start[low + lane * width : low + (lane + 1) * width]
            if not cfg.exact:
                fires = before.fire & before.first
                given = add_term(0, bits, *self._term(m, f"initial_{col}_{lane}", given, fires, cfg.given_limit))
            with m.If(control.first):
                m.d.comb += start.eq(given)
        if self.payloads.cols > 1 and not self.multiply:  # the term is other columns' too
            magnitude = magnitude & self._joined(control, lane)[col].replicate(len(magnitude))
        if cfg.exact and self.payloads.engine != "forward":
            given, extended = lane_sum(cfg, self.partial, lane)[:bits], Cat(magnitude, Const(0, bits))[:bits]
            magnitude = Mux(control.taking, given, extended)
            sign = sign & ~control.taking
        m.d.comb += [
            total.eq(add_term(start, bits, magnitude, sign)),
            read.addr.eq(control.entry),
            write.addr.eq(control.entry),
            write.en.eq(control.fire & ~control.drain),
            write.data.eq(total),
        ]
        return total

    def _drain(self, m: Module, totals, col):
        """What leaves: sums of all columns for weight_grad, else of one, rounded or not; returns whether a rounded one
        is infinite."""
        cfg, infinite, options = self.payloads.cfg, [], {}
        if self.payloads.engine == "weight_grad":  # gradients are added to again
            options = {"limit": cfg.given_limit, "saturate": True}
        else:
            totals = [[Array(column[lane] for column in totals)[col] for lane in range(cfg.lanes)]]
        for n, column in enumerate(totals):
            sums = [_delay(m, total, 1, f"sum_{n}_{lane}_") for lane, total in enumerate(column)]
            if self.payloads.engine == "weight_grad" and cfg.exact:
                m.d.comb += self.drained.values[n].eq(Cat(sums))
                continue
            rounded = []
            for lane, total in enumerate(sums):
                m.submodules[f"round_{n}_{lane}"] = rounding = Round(
                    cfg.format, cfg.fixed, cfg.round_stages, **options
                )
                m.d.comb += rounding.i.eq(total)
                rounded.append(rounding.o)
                infinite.append(rounding.nonfinite & ~self.raw)
            values = Cat(rounded)
            if self.payloads.engine == "backward" and cfg.exact:
                parts = to_parts(cfg, _delay(m, Cat(sums), self._rounding, "raw"), self.fixed.bits)
                values = Mux(self.raw, parts, values)
            m.d.comb += self.drained.values[n].eq(values)
        return Cat(infinite).any()


def _delay(m: Module, value, cycles: int, name: str):
    """The value some cycles later."""
    for n in range(cycles):
        stage = Signal.like(value, name=f"{name}{n}")
        m.d.sync += stage.eq(value)
        value = stage
    return value
